/**
 * How often changes may restart: a command that changes what is watched, such as its log, would restart for ever.
 */

/** A change that comes within this time of a start may be the work of what was started. */
const soonMs = 1_000;
/** So many in a row are no edits. */
const most = 10;

export class Pace {
  #startedMs = performance.now();
  #soon = 0;
  #isTold = false;

  /** A generation starts. */
  started(): void {
    this.#startedMs = performance.now();
  }

  /** How long to wait until this change may restart, and whether it is time to tell about it, which is once. */
  changed(): { readonly waitMs: number; readonly tell: boolean } {
    const sinceMs = performance.now() - this.#startedMs;
    this.#soon = sinceMs < soonMs ? this.#soon + 1 : 0;
    if (this.#soon <= most) return { waitMs: 0, tell: false };
    const tell = !this.#isTold;
    this.#isTold = true;
    return { waitMs: soonMs - sinceMs, tell };
  }
}
