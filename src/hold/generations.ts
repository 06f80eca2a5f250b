/**
 * The generations that are there: each is started, followed until nothing of it is left, and its life told as events of the machine.
 */
import type { Faults } from './faults.ts';
import type { Generation } from './generation.ts';
import type { Event } from './machine.ts';

/** How a generation is made, and who hears of its life. */
interface Surroundings {
  readonly readyTimeoutMs: number;
  readonly faults: Faults;
  readonly make: (number: number) => Generation;
  readonly couldNotStart: (number: number, error: unknown) => void;
  readonly gone: (number: number) => void;
  readonly happened: (event: Event) => void;
}

export class Generations {
  readonly #around: Surroundings;
  readonly #live = new Map<number, Generation>();
  /** Those that are being ended, until nothing of them is left. */
  readonly #leaving = new Map<number, Promise<void>>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  /** By number. */
  get live(): ReadonlyMap<number, Generation> {
    return this.#live;
  }

  /** Null when it could not be started, which is an event. */
  start(number: number): Generation | null {
    let generation: Generation;
    try {
      generation = this.#around.make(number);
    } catch (error) {
      this.#couldNotStart(number, error);
      return null;
    }
    this.#live.set(number, generation);
    void this.#around.faults.settle('Waiting for the command', this.#follow(generation));
    return generation;
  }

  /** Ends it with `how`, and reports when nothing of it is left. */
  leave(number: number, how: (generation: Generation) => Promise<void>): void {
    const generation = this.#live.get(number);
    const leaving = generation === undefined ? Promise.resolve() : how(generation);
    const left = this.#around.faults.settle(`Ending generation ${number}`, leaving).then(() => {
      this.#live.delete(number);
      this.#leaving.delete(number);
      this.#around.gone(number);
      this.#around.happened({ kind: 'gone', number });
    });
    this.#leaving.set(number, left);
  }

  /** Resolves when a generation that is being ended is gone; at once for any other. */
  left(number: number): Promise<void> {
    return this.#leaving.get(number) ?? Promise.resolve();
  }

  #couldNotStart(number: number, error: unknown): void {
    this.#around.couldNotStart(number, error);
    this.#around.happened({ kind: 'unstartable', number });
  }

  async #follow(generation: Generation): Promise<void> {
    const { readyTimeoutMs, happened } = this.#around;
    const { number } = generation;
    void generation.exited.then((exit) => {
      if (generation.startError !== null) return this.#couldNotStart(number, generation.startError);
      const { readiness } = generation;
      const servedMs = readiness?.ready === true ? generation.lifeMs - readiness.afterMs : null;
      happened({ kind: 'exited', number, ok: exit.code === 0, servedMs });
    });
    const inTime = await generation.becomeReady(readyTimeoutMs);
    if (inTime.ready) return happened({ kind: 'ready', number });
    if (inTime.why === 'exit') return;
    happened({ kind: 'late', number });
    // It may only be slow: where there is no other, what comes later still counts.
    if ((await generation.becomeReady(null)).ready) happened({ kind: 'ready', number });
  }
}
