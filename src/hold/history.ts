/**
 * The generations that are over.
 */
import type { Generation } from './generation.ts';
import type { DrainCounts } from './wire/messages.ts';

/** Of the restarts that status tells about; hold may run for years. */
const most = 50;

/** A generation that is over. */
export interface PastGeneration {
  readonly generation: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly readyAfterMs: number | null;
  /** `retired`: replaced. `killed`: replaced, and it had to be forced. `refused`: never became ready. */
  readonly outcome: 'retired' | 'killed' | 'refused' | 'superseded' | 'crashed' | 'finished';
  readonly why: string | null;
  readonly counts: DrainCounts | null;
}

/** @internal */
export class Past {
  readonly list: PastGeneration[] = [];

  add(generation: Generation, outcome: PastGeneration['outcome'], why: string | null): void {
    this.list.push({
      generation: generation.number,
      startedAt: new Date(generation.startedAtMs).toISOString(),
      endedAt: new Date().toISOString(),
      readyAfterMs: generation.readiness?.ready === true ? Math.round(generation.readiness.afterMs) : null,
      outcome,
      why,
      counts: generation.counts,
    });
    if (this.list.length > most) this.list.shift();
  }
}
