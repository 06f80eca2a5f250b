/**
 * The form a cause fills in. A cause is one known reason for a blocked port: its page, its recogniser, its sentence,
 * its remedies, the way to bring it about for real, and what to expect then, all in one file.
 *
 * Causes are pure: they read a `Question` and name remedies. Only `stage` touches a machine, through the `Stage` it is given.
 */
import type { Platform } from '../model/facts.ts';
import type { Question, Remedy, RemedyId } from '../model/verdict.ts';
import type { Need, Stage, Staged } from '../stage/stage.ts';

/** The page, in Markdown without headings. Each answers one question of a tired reader. */
export interface Page {
  /** What you see. */
  readonly see: string;
  /** Why it happens. */
  readonly why: string;
  /** What to do now. */
  readonly now: string;
  /** How to prevent it. */
  readonly prevent: string;
}

/** @internal What `rebind why` must answer on the staged situation; the test of every cause compares it field by field. */
export interface Expectation {
  readonly bindable: boolean;
  readonly errno: string | null;
  /** The verdict's cause; its own id unless the stage shows a cause that only rides along. Null when nothing is worth saying. */
  readonly cause?: string | null;
  /** Other causes that must be named too, in any order. @default none is checked */
  readonly also?: readonly string[];
  /** The remedies of the plan, in order. */
  readonly remedies: readonly RemedyId[];
}

export interface Cause<Id extends string, Args extends object> {
  readonly id: Id;
  /** One line, the heading of its page. */
  readonly title: string;
  readonly on: readonly Platform[];
  readonly page: Page;
  /** The facts that matter as plain data, or null when this is not the cause. */
  recognise(question: Question): Args | null;
  /** One plain sentence that starts with the endpoint or the culprit. No colour, no advice, no full stop. Untrusted text is escaped where it is printed. */
  say(args: Args): string;
  remedies(args: Args, question: Question): readonly Remedy[];
  /** @internal Real processes and sockets that bring it about. The variants are rows of one cause: v4 and v6, both orders, TCP and UDP. */
  readonly stages: readonly StagedVariant[];
}

/** @internal */
export interface StagedVariant {
  /** A sentence that a user would accept, such as "a node server listens on ::". */
  readonly title: string;
  readonly needs: readonly Need[];
  stage(stage: Stage): Promise<Staged>;
  readonly expect: Expectation;
}

/** Types a cause; the id and the arguments are inferred, so that `Verdict` is the closed union of all causes. */
export function cause<const Id extends string, Args extends object>(definition: Cause<Id, Args>): Cause<Id, Args> {
  return definition;
}
