/**
 * How a process ended, and the status that stands for it.
 */
import { constants } from 'node:os';

/** A status, or the signal that killed it. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** @internal "exited with status 3", "was killed by SIGSEGV". */
export function describeExit(exit: Exit | null): string {
  if (exit === null) return 'is still running';
  return exit.signal === null ? `exited with status ${exit.code}` : `was killed by ${exit.signal}`;
}

/** @internal As a shell reports it: 128 and the number of the signal. */
export function statusOf(exit: Exit | null): number {
  if (exit === null) return 1;
  return exit.signal === null ? (exit.code ?? 1) : statusOfSignal(exit.signal);
}

/** @internal */
export function statusOfSignal(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/** @internal True when a signal ended it, or when it says so as shells and npm do: 128 and the number of a signal. */
export function isOfSignal({ code, signal }: Exit): boolean {
  return signal !== null || Object.values(constants.signals).some((number) => code === 128 + number);
}

/** @internal @param signal Its number. */
export function exitOf(code: number | null, signal: number | null): Exit {
  const names = Object.entries(constants.signals) as [NodeJS.Signals, number][];
  return { code, signal: names.find(([, number]) => number === signal)?.[0] ?? null };
}
