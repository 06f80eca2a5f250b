/**
 * How a process ended, and the status that stands for it.
 */
import { constants } from 'node:os';

/** A status, or the signal that killed it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** "ended with status 3", "was killed by SIGSEGV". */
export function describeExit(exit: Exit | null): string {
  if (exit === null) return 'is still running';
  return exit.signal === null ? `ended with status ${exit.code}` : `was killed by ${exit.signal}`;
}

/** As a shell reports it: 128 and the number of the signal. */
export function statusOf(exit: Exit | null): number {
  if (exit === null) return 1;
  return exit.signal === null ? (exit.code ?? 1) : statusOfSignal(exit.signal);
}

export function statusOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
