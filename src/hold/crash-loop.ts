/**
 * When a crashed command is started again, and when hold gives up.
 */

/** A generation that lived this long after it was ready was not part of a crash loop: who waits is served by the next one at once. */
const steadyMs = 1_000;
/** The first restart waits for nothing: the queue hides it. */
const firstWaitMs = 250;
const growth = 1.5;
const mostMs = 30_000;

export class Crashes {
  readonly #most: number;
  #count = 0;

  /** @param most Crashes in a row that are followed by another start. */
  constructor(most: number) {
    this.#most = most;
  }

  /** @param servedMs How long the crashed generation had served, from when it was ready. */
  add(servedMs: number): void {
    this.#count = servedMs >= steadyMs ? 1 : this.#count + 1;
  }

  /** True when there were too many in a row. */
  get isLoop(): boolean {
    return this.#count > this.#most;
  }

  /** How long to wait before the next start. */
  get againInMs(): number {
    return this.#count <= 1 ? 0 : Math.min(firstWaitMs * growth ** (this.#count - 2), mostMs);
  }
}
