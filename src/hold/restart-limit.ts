/**
 * How often a changed file may restart: a command that changes what is watched, such as its log, would restart for ever.
 */

/** A change that comes within this time of a start may be the work of what was started. */
const soonMs = 1_000;
/** Later changes are its work if they come the same time after each start: nobody edits as regularly. */
const [closeMs, closeShare] = [300, 0.05];
/** So many in a row of one file are no edits. */
const most = 3;
const firstWaitMs = 1_000;
const mostWaitMs = 60_000;

interface Pattern {
  readonly times: number;
  /** Which start it was, and how long after it the file changed. */
  readonly startedMs: number;
  readonly sinceMs: number;
}

export class RestartLimit {
  readonly #nowMs: () => number;
  #startedMs: number;
  /** How often in a row a file changed alike after a start. */
  readonly #alike = new Map<string, Pattern>();

  constructor(nowMs = (): number => performance.now()) {
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  /** A generation starts, or is ready. */
  started(): void {
    this.#startedMs = this.#nowMs();
  }

  /** How long to wait until the change of this file may restart, and whether it is time to tell about it, which is once. */
  changed(path: string): { readonly waitMs: number; readonly tell: boolean } {
    const startedMs = this.#startedMs;
    const sinceMs = this.#nowMs() - startedMs;
    const before = this.#alike.get(path);
    const isCounted = before?.startedMs === startedMs;
    // Of one start only the first change counts.
    if (isCounted) return { waitMs: waitAfter(before.times), tell: false };
    const times = before !== undefined && isAlike(before.sinceMs, sinceMs) ? before.times + 1 : 1;
    this.#alike.set(path, { times, startedMs, sinceMs });
    return { waitMs: waitAfter(times), tell: times === most + 1 };
  }
}

function isAlike(beforeMs: number, nowMs: number): boolean {
  if (beforeMs < soonMs && nowMs < soonMs) return true;
  return Math.abs(beforeMs - nowMs) <= Math.max(closeMs, beforeMs * closeShare);
}

function waitAfter(times: number): number {
  return times <= most ? 0 : Math.min(firstWaitMs * 2 ** (times - most - 1), mostWaitMs);
}
