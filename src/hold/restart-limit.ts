/**
 * How often a changed file may restart: a command that changes what is watched, such as its log, would restart for ever.
 */

/** A change that comes within this time of a start may be the work of what was started. */
const soonMs = 1_000;
/** So many in a row of one file are no edits. */
const most = 3;
const firstWaitMs = 1_000;
const mostWaitMs = 60_000;

export class RestartLimit {
  #startedMs = performance.now();
  /** How often in a row a file changed just after a start, and which start that was. */
  readonly #soon = new Map<string, { readonly times: number; readonly startedMs: number }>();

  /** A generation starts, or is ready. */
  started(): void {
    this.#startedMs = performance.now();
  }

  /** How long to wait until the change of this file may restart, and whether it is time to tell about it, which is once. */
  changed(path: string): { readonly waitMs: number; readonly tell: boolean } {
    const sinceMs = performance.now() - this.#startedMs;
    if (sinceMs >= soonMs) {
      this.#soon.delete(path);
      return { waitMs: 0, tell: false };
    }
    const before = this.#soon.get(path);
    const isCounted = before?.startedMs === this.#startedMs;
    const times = (before?.times ?? 0) + (isCounted ? 0 : 1);
    this.#soon.set(path, { times, startedMs: this.#startedMs });
    if (times <= most) return { waitMs: 0, tell: false };
    return {
      waitMs: Math.min(firstWaitMs * 2 ** (times - most - 1), mostWaitMs),
      tell: times === most + 1 && !isCounted,
    };
  }
}
