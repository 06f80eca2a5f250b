/**
 * The ways in which a generation ends, and what is remembered of it.
 */
import { describeExit } from './exit.ts';
import type { Generation } from './generation.ts';
import type { Past } from './history.ts';
import type { HoldEvents, Settings } from './settings.ts';

export interface LeavingEvents {
  draining(event: HoldEvents['draining'][0]): void;
  retired(event: HoldEvents['retired'][0]): void;
  note(sentence: string): void;
  /** Everything ends, and the programs accept no more. */
  stopped(): void;
}

/** Each way resolves when nothing of the generation is left. */
export class GenerationEnd {
  readonly #settings: Pick<Settings, 'graceMs' | 'lingerMs' | 'stopSignal'>;
  readonly #past: Past;
  readonly #on: LeavingEvents;

  constructor(settings: Settings, past: Past, on: LeavingEvents) {
    this.#settings = settings;
    this.#past = past;
    this.#on = on;
  }

  /** Another one serves. @param receivers Where that one takes idle connections, by the identity of the socket. */
  async drain(old: Generation, receivers: Readonly<Record<string, string>>): Promise<void> {
    this.#on.draining({ generation: old.number });
    const { forced } = await old.retire({ ...this.#patience, receivers });
    this.#past.add(old, forced ? 'killed' : 'retired', null);
    this.#on.retired({ generation: old.number, counts: old.counts, forced });
  }

  /** It never became ready, but it may serve all the same: on one of two endpoints, or since a moment ago. */
  async discard(generation: Generation, as: 'refused' | 'superseded', why: string | null): Promise<void> {
    await generation.retire(this.#patience);
    this.#past.add(generation, as, why);
  }

  /** It exited. What it left behind, or put into the background, must not keep serving beside its successor. */
  async clean(generation: Generation): Promise<void> {
    const { exit } = generation;
    const hadLeft = generation.hasLeft();
    await generation.retire(this.#patience);
    const left = hadLeft || generation.runaways > 0;
    const why = describeExit(exit) + (left ? ' and left processes running, which were stopped' : '');
    if (left && exit?.code === 0)
      this.#on.note('The command went to the background: hold must keep it in the foreground');
    this.#past.add(generation, exit?.code === 0 ? 'finished' : 'crashed', why);
  }

  /** SIGTERM lets connections end first; null is the end of a command that is done. */
  async endAll(generations: readonly Generation[], signal: NodeJS.Signals | null): Promise<void> {
    const { graceMs, stopSignal } = this.#settings;
    const ending = generations.map(async (one) => {
      // The stop under way reports it.
      const endsAlready = one.state === 'draining' || one.state === 'ending';
      const mayDrain = signal === 'SIGTERM' && (one.state === 'ready' || one.state === 'draining');
      const { forced } = await (mayDrain
        ? one.retire(this.#patience, () => this.#on.stopped())
        : one.end(signal ?? stopSignal, graceMs));
      if (forced && !endsAlready)
        this.#on.note(`Generation ${one.number} did not exit within ${graceMs / 1_000} s and was killed`);
    });
    await Promise.all(ending);
  }

  get #patience(): { readonly graceMs: number; readonly lingerMs: number } {
    const { graceMs, lingerMs } = this.#settings;
    return { graceMs, lingerMs };
  }
}
