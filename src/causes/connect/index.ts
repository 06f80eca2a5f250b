/**
 * Every known cause of a client that cannot connect. The order is the order of decision, and precedence: the first that recognises
 * what was seen is the verdict, the others come along.
 */
import type { ReachFoundBy } from '../../model/reach/judge.ts';
import type { ReachReport as ReportOf } from '../../model/reach/report.ts';
import nothingListens from './nothing-listens.ts';

export const causes = [
  // The address is ours, and no socket takes the connection.
  nothingListens,
] as const;

/** A cause that applies: its id, one plain sentence, and what it found. A closed union over `cause`. */
export type ReachVerdict = ReachFoundBy<(typeof causes)[number]>;

/** The answer of `reach`; `--json` prints it with `schema: 1` in front. */
export interface ReachReport extends ReportOf<ReachVerdict> {}
