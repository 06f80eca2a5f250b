/** What became of a step. `skipped`: there was nothing to do any more; `refused`: it was never tried. */
export type Outcome = 'done' | 'failed' | 'skipped' | 'refused';

export interface ActResult {
  readonly outcome: Outcome;
  /** The reason of everything but a plain `done`, without a full stop. */
  readonly why: string | null;
}
