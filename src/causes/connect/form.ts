/**
 * The form of a cause of `reach`. It is that of causes/cause.ts, with another question and another stage. Causes are pure.
 */
import type { Platform } from '../../model/facts.ts';
import type { AddressQuestion, TargetQuestion } from '../../model/reach/question.ts';
import type { Place } from '../../model/reach/report.ts';
import type { Remedy, RemedyId } from '../../model/verdict.ts';
import type { ConnectNeed, ConnectStage, ConnectStaged } from '../../stage/connect/stage.ts';
import type { Page } from '../cause.ts';

/** @internal What `rebind reach` must answer on the staged situation. */
export interface ConnectExpectation {
  readonly reachable: boolean | null;
  /** Left out where it depends on luck. */
  readonly errno?: string | null;
  /** The verdict's cause. Null when nothing is worth saying. @default its own id */
  readonly cause?: string | null;
  /** Other causes that must be named too, in any order. @default none is checked */
  readonly also?: readonly string[];
  /** The remedies of the plan, in order. @default none is checked */
  readonly remedies?: readonly RemedyId[];
  /** What the sentence must match beside, where the proof is complete. */
  readonly says?: RegExp;
  /** What an ordinary user is told where that differs, because the proof needs rights; null when that is not tried. */
  readonly asUser?: {
    readonly reachable?: boolean | null;
    readonly cause: string | null;
  } | null;
}

/** @internal */
export interface ConnectVariant {
  /** A sentence that a user would accept. */
  readonly title: string;
  readonly needs: readonly ConnectNeed[];
  stage(stage: ConnectStage): Promise<ConnectStaged>;
  readonly expect: ConnectExpectation;
  /** It is judged by what the kernel counts for all namespaces at once, so it is tried when nothing else is. */
  readonly alone?: true;
}

interface Common<Id extends string, Args extends object> {
  readonly id: Id;
  /** One line, the heading of its page. */
  readonly title: string;
  readonly on: readonly Platform[];
  /** Where the connection fails: the mark in the picture of the path. */
  readonly at: Place;
  /** True for a cause that is worth saying although clients get through. @default false */
  readonly getsThrough?: boolean;
  /** True for a cause that does not tell whether clients get through. @default false */
  readonly leavesOpen?: boolean;
  /** True for what is said only where no other cause of the same address is found. @default false */
  readonly alone?: boolean;
  readonly page: Page;
  /** One plain sentence without advice or full stop. Untrusted text is escaped where it is printed. */
  say(args: Args): string;
  /** @internal */
  readonly stages: readonly ConnectVariant[];
}

/** Judges one address. */
export interface AddressCause<Id extends string, Args extends object> extends Common<Id, Args> {
  readonly about: 'address';
  /** The facts that matter as plain data, or null when this is not the cause. */
  recognise(question: AddressQuestion): Args | null;
  remedies(args: Args, question: AddressQuestion): readonly Remedy[];
}

/** Judges the target as a whole. */
export interface TargetCause<Id extends string, Args extends object> extends Common<Id, Args> {
  readonly about: 'target';
  recognise(question: TargetQuestion): Args | null;
  remedies(args: Args, question: TargetQuestion): readonly Remedy[];
}

/** Types a cause about one address. */
export function addressCause<const Id extends string, Args extends object>(
  definition: Omit<AddressCause<Id, Args>, 'about'>,
): AddressCause<Id, Args> {
  return { about: 'address', ...definition };
}

/** Types a cause about the target as a whole. */
export function targetCause<const Id extends string, Args extends object>(
  definition: Omit<TargetCause<Id, Args>, 'about'>,
): TargetCause<Id, Args> {
  return { about: 'target', ...definition };
}
