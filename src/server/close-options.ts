/**
 * What `close` is asked for, checked before anything is closed.
 */
import { checkNames, checkSignal, milliseconds } from '../check.ts';
import { type AfterStep, checkSteps } from './after-steps.ts';
import type { SignalChoice } from './signals.ts';

/** How long `close` waits for what. All in milliseconds. */
export interface CloseOptions {
  /** For answers, streams and WebSockets that are under way; what is left then is reset. @default 10000 */
  readonly graceMs?: number;
  /** How long a connection must be silent before it is closed; shorter loses requests that are on their way. @default 1000 */
  readonly idleMs?: number;
  /** How long a connection may take to send its first byte. @default 2000 */
  readonly firstByteMs?: number;
  /**
   * How long to go on accepting after `close.isClosing(server)` says so, for load balancers that ask a readiness check. `auto` learns it from
   * those who asked `health`: three times the time between two questions and a second, at most 10 s; 0 where nobody asks; 7 s where somebody
   * asked fewer than three times, or where nobody asks and KUBERNETES_SERVICE_HOST is set. @default 0
   */
  readonly lameDuckMs?: number | 'auto';
  /**
   * What is done when the connections are finished, in this order, such as `[() => database.end(), () => telemetry.flush()]`. One that fails
   * does not keep the next from being done; `close` rejects with its error when all are.
   */
  readonly after?: readonly AfterStep[];
  /** How long each step of `after` may take. @default 5000 */
  readonly afterMs?: number;
  /** Aborting ends every wait at once and resets what is open. */
  readonly signal?: AbortSignal;
}

/** `CloseOptions`, and which signals. */
export interface SignalOptions extends CloseOptions, SignalChoice {}

/** Every time of them. */
export type Times = Required<Omit<CloseOptions, 'signal' | 'after'>>;

const names = ['graceMs', 'idleMs', 'firstByteMs', 'lameDuckMs', 'after', 'afterMs', 'signal'];

/** @throws {TypeError} {RangeError} */
export function readTimes(verb: string, options: CloseOptions, more: readonly string[] = []): Times {
  checkNames(verb, options, [...names, ...more]);
  checkSignal(options.signal);
  checkSteps(options.after);
  return {
    graceMs: milliseconds('graceMs', options.graceMs, 10_000),
    idleMs: milliseconds('idleMs', options.idleMs, 1000),
    firstByteMs: milliseconds('firstByteMs', options.firstByteMs, 2000),
    lameDuckMs: options.lameDuckMs === 'auto' ? 'auto' : milliseconds('lameDuckMs', options.lameDuckMs, 0),
    afterMs: milliseconds('afterMs', options.afterMs, 5000),
  };
}
