/** What the causes of `reach` look at. Pure data. */
import type { Asker, Platform } from '../facts.ts';
import type { Advice } from '../systems/advice.ts';
import type { Evidence, NameEvidence } from './evidence.ts';
import type { AddressOutcome } from './report.ts';
import type { Target } from './target.ts';

interface Common {
  readonly platform: Platform;
  readonly target: Target;
  /** True when a request was part of the question (`--request`, a URL). */
  readonly request: boolean;
  readonly asker: Asker;
  /** How one does on this system what a remedy advises. */
  readonly advice: Advice;
}

/** About one address. */
export interface AddressQuestion extends Common {
  readonly evidence: Evidence;
}

/** What is known of an address once it is judged. */
export interface JudgedAddress {
  readonly address: string;
  readonly outcome: AddressOutcome;
  readonly errno: string | null;
  readonly elapsedMs: number | null;
  readonly cause: string | null;
}

/** About the target as a whole: its name, the order of its addresses, the environment of the client. */
export interface TargetQuestion extends Common {
  readonly name: NameEvidence | null;
  readonly addresses: readonly JudgedAddress[];
  /** The variables of the environment that make clients use a proxy, lower-cased, as they are set here. */
  readonly proxies: Readonly<Record<string, string>>;
}
