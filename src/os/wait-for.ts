/**
 * What every system's `events.wait` has in common: one result, the time, the signal, and that nothing is watched afterwards.
 */
import type { EventRequest, EventResult } from './events.ts';

const longestTimeoutMs = 2 ** 31 - 1;

/** What ends a wait. */
export interface Waiting {
  /** Steps that stop what was started, in this order. */
  readonly undo: (() => void)[];
  readonly end: (result: EventResult) => void;
  /** Callbacks run in the event loop, where a throw would end the process. */
  readonly guard: (step: () => void) => () => void;
}

/** @param watch Starts to watch what was asked for; what it throws ends the wait. */
export function waitFor(what: EventRequest, watch: (waiting: Waiting) => void): Promise<EventResult> {
  return new Promise((resolve, reject) => {
    const { signal, timeoutMs, ready } = what;
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const undo: (() => void)[] = [];
    const stop = (): void => {
      for (const step of undo.splice(0)) step();
    };
    const end = (result: EventResult): void => {
      stop();
      resolve(result);
    };
    const fail = (error: unknown): void => {
      stop();
      reject(error);
    };
    const guard = (step: () => void) => (): void => {
      try {
        step();
      } catch (error) {
        fail(error);
      }
    };
    try {
      watch({ undo, end, guard });
      if (timeoutMs !== null) {
        const timer = setTimeout(() => end({ kind: 'timeout' }), Math.min(Math.max(0, timeoutMs), longestTimeoutMs));
        undo.push(() => clearTimeout(timer));
      }
      if (signal !== undefined) {
        const abort = (): void => fail(signal.reason);
        signal.addEventListener('abort', abort, { once: true });
        undo.push(() => signal.removeEventListener('abort', abort));
      }
      if (ready?.() === true) end({ kind: 'ready' });
    } catch (error) {
      fail(error);
    }
  });
}
