/**
 * What wait takes and answers.
 */

import { bindOptionNames, type WhyOptions } from '../ask/request.ts';
import type { Verdict } from '../causes/bind/index.ts';
import type { ReachVerdict } from '../causes/connect/index.ts';
import { nameOf } from '../check.ts';
import type { BindOptions, Endpoint } from '../model/endpoint.ts';
import type { Address, Gap } from '../model/facts.ts';

/** What to wait for, and how long. */
export interface WaitOptions extends Omit<WhyOptions, 'holders'> {
  /** `free`: the planned bind would succeed. `open`: somebody listens there. @default 'free' */
  readonly for?: 'free' | 'open';
  /** With `open`: the listener must belong to this process or one that it started, so that a stale server does not pass for the new one. */
  readonly pid?: number;
  /** @default waits for ever */
  readonly timeoutMs?: number;
  /** Told when it is clear what is waited for, and when that changes. */
  readonly onProgress?: (progress: WaitProgress) => void;
}

/** What `wait` waits for now. */
export interface WaitProgress {
  readonly elapsedMs: number;
  /** What bind reports now, such as `EADDRINUSE`; null with `open`. */
  readonly errno: string | null;
  /** Why it is not free yet; null with `open`. */
  readonly verdict: Verdict | null;
  /** When the kernel will have forgotten the last leftover, if that is all that blocks; null when nobody knows. */
  readonly expiresInMs: number | null;
}

/** Why a wait ended without what it waited for. */
export type WaitFailure =
  | 'timeout'
  /** Whether it is free cannot be told here; the gaps say why. */
  | 'unknown'
  /** The process of `pid` is gone, so that it will never listen. */
  | 'process-ended'
  /** In time, somebody listened, but not the process of `pid`, or it could not be seen who. */
  | 'other-process';

/** Who listens, as `wait` reports it. */
export interface Listener {
  readonly pid: number;
  readonly command: string;
  readonly argv: readonly string[];
}

/** The answer of `wait`. */
export interface WaitReport {
  readonly endpoint: Endpoint;
  readonly options: BindOptions;
  readonly for: 'free' | 'open';
  /** True when it is what it was waited for. */
  readonly done: boolean;
  readonly failure: WaitFailure | null;
  /** With `open`: who listens, as far as that can be seen. */
  readonly listeners: readonly Listener[];
  /** With `open`: where they listen, the path of a Unix socket with port 0. Also those whose process cannot be seen. */
  readonly addresses: readonly Address[];
  /** With `open`, when nobody listened there in time: other addresses of the same port on which the `listeners` do. */
  readonly elsewhere: readonly Address[];
  /** With `free`: why it is still blocked. With `open`: who has bound it and does not listen, or what else would stop a client. Else null. */
  readonly verdict: Verdict | ReachVerdict | null;
  readonly gaps: readonly Gap[];
  readonly elapsedMs: number;
}

/** @internal */
export interface Clock {
  elapsedMs(): number;
  leftMs(): number;
}

/** @internal */
export type End = Pick<WaitReport, 'failure'> &
  Partial<Pick<WaitReport, 'listeners' | 'addresses' | 'elsewhere' | 'verdict' | 'gaps'>>;

/** @internal */
export const optionNames = [
  ...bindOptionNames,
  ...Object.keys({ for: true, pid: true, timeoutMs: true, onProgress: true } satisfies Record<
    keyof Omit<WaitOptions, keyof WhyOptions>,
    true
  >),
];

/** @internal */
export function checkWaitOptions(options: WaitOptions): void {
  const { for: mode, pid, timeoutMs, onProgress } = options as Record<string, unknown>;
  if (mode !== undefined && mode !== 'free' && mode !== 'open')
    throw new RangeError(`for must be free or open: received ${nameOf(mode)}`);
  if (pid !== undefined && (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1))
    throw new RangeError('pid must be the number of a process');
  if (pid !== undefined && mode !== 'open') throw new RangeError('pid has a meaning only when waiting for open');
  if (timeoutMs !== undefined && (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)))
    throw new RangeError('timeoutMs must be a number of milliseconds, 0 or more');
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new TypeError('onProgress must be a function');
}
