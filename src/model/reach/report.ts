/**
 * The answer of `reach`: what a client of the target meets, and why. judge.ts fills it in.
 */
import type { Gap } from '../facts.ts';
import type { Blocker, Finding, Remedy } from '../verdict.ts';
import type { Target } from './target.ts';

/** The places of a path, in the order that a connection passes them. A target on this machine has no `network` and no `server`. */
export const places = [
  'client',
  'name',
  'route',
  'firewall',
  'network',
  'server',
  'file',
  'listener',
  'queue',
  'process',
  'answer',
] as const;

/** Where a connection fails. */
export type Place = (typeof places)[number];

/** What one address did. */
export type AddressOutcome =
  /** A reply to a request, or bytes without one. */
  | 'answered'
  /** The connection stood. */
  | 'accepted'
  | 'refused'
  | 'no-answer'
  | 'reset'
  /** Failed at once on this machine, or in another way. */
  | 'failed'
  | 'not-tried';

/** One thing that was seen, where from, and what it was. */
export interface Fact {
  /** Such as `out-not-transmitted`. More may be added. */
  readonly fact: string;
  readonly value: string | number | boolean | null;
  /** Such as `/proc/net/snmp`. */
  readonly source: string;
}

/** One address of the target. */
export interface ReachedAddress<Found extends Finding = Finding> {
  /** The path of a Unix socket. */
  readonly address: string;
  readonly from: 'hosts' | 'dns' | 'literal';
  readonly outcome: AddressOutcome;
  readonly errno: string | null;
  readonly elapsedMs: number | null;
  readonly verdict: Found | null;
  readonly also: readonly Found[];
  readonly evidence: readonly Fact[];
}

/** The answer of `reach`; `--json` prints it with `schema: 1` in front. */
export interface ReachReport<Found extends Finding = Finding> {
  readonly target: Target;
  /** True when a client gets through: it answers, or accepts where nothing was asked. Null when it could not be told. */
  readonly reachable: boolean | null;
  /** What a client would get; `ETIMEDOUT` stands for a hang. Null when reachable. */
  readonly errno: string | null;
  /** Null when it can be reached and nothing is worth saying, or when the reason cannot be proved. */
  readonly verdict: Found | null;
  readonly also: readonly Found[];
  /** Where the connection fails, as far as the verdict says; null without one, and where clients get through. */
  readonly failsAt: Place | null;
  /** In the order that a client tries them. */
  readonly addresses: readonly ReachedAddress<Found>[];
  /** The sockets that have the port here, as the blockers of `why`. */
  readonly listeners: readonly Blocker[];
  readonly plan: readonly Remedy[];
  readonly gaps: readonly Gap[];
}
