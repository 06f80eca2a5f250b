import { show } from '../check.ts';

/** A signal that ends a program which does not handle it, and that people and managers send for that. */
export type EndSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

/** With the status of a process that died of it, as a shell reports it: 128 and its number, which POSIX fixes for these. */
const statuses: Readonly<Record<EndSignal, number>> = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 };

/** Which signals `close.onSignals` handles. */
export interface SignalChoice {
  /** @default ['SIGTERM', 'SIGINT', 'SIGHUP'] */
  readonly signals?: readonly EndSignal[];
}

/**
 * Calls `finish` at the first signal and ends the process when it is done; a second signal aborts what `finish` waits for and ends at once.
 * Returns a function that takes the handlers away.
 */
export function onSignals(
  finish: (hurry: AbortSignal, signal: EndSignal) => Promise<void>,
  choice: SignalChoice,
): () => void {
  const chosen = choice.signals ?? (Object.keys(statuses) as EndSignal[]);
  if (!Array.isArray(chosen) || chosen.length === 0 || !chosen.every((signal) => Object.hasOwn(statuses, signal)))
    throw new TypeError(`signals is a list of ${Object.keys(statuses).join(', ')}, not ${show(chosen)}`);
  const signals = new Set(chosen);
  const hurry = new AbortController();
  let asked = false;
  const remove = (): void => {
    for (const signal of signals) process.removeListener(signal, handle);
  };
  const handle = (signal: EndSignal): void => {
    if (asked) {
      hurry.abort();
      remove();
      endAs(signal);
      return;
    }
    asked = true;
    finish(hurry.signal, signal).then(
      () => {
        remove();
        endAs(signal);
      },
      (error: unknown) => {
        remove();
        // Nobody awaits a signal handler: let it be an uncaught error, with its trace and its exit status.
        setImmediate(() => {
          throw error;
        });
      },
    );
  };
  for (const signal of signals) process.on(signal, handle);
  return remove;
}

/**
 * Runs the 'exit' listeners, as every end of a Node program does, and dies of the signal, as it would have without a handler; with the status
 * that a shell gives it where that is not possible.
 */
function endAs(signal: EndSignal): never {
  // The last of them: the kernel ends us inside. For pid 1 of a container it ignores the signal, and the status is what remains.
  if (process.listenerCount(signal) === 0) process.once('exit', () => process.kill(process.pid, signal));
  process.exit(statuses[signal]);
}
