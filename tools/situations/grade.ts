/**
 * Grades what a tool did, by rules that are the same for every tool. docs/comparison.md prints them.
 */
import type { Job, Scene, Standing } from './scene.ts';

export type Grade = 'right' | 'partly' | 'wrong' | 'not asked';

/** What a run left. */
export interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly elapsedMs: number;
  readonly bindable: boolean;
  /** Sentences: innocent processes that are gone, and other harm. */
  readonly harm: readonly string[];
}

/** The rules, as docs/comparison.md prints them. */
export const rules: Readonly<Record<Job, string>> = {
  explain:
    'right: names every process that holds the port and the reason where there is another one than "it listens", or says that the port is free when it is. partly: shows that the port is in use, or one of the processes. wrong: says nothing, or that nothing is there, or names a process that has nothing to do with it.',
  free: 'right: the port is bindable afterwards and the exit status is 0; where nothing may be stopped, nothing was, and the exit status is not 0. partly: it failed and said so. wrong: exit status 0 and the port is still blocked; work was lost, or a process that should live was stopped.',
  wait: 'right: says after two seconds that the port is still in use, or at once that it is free. wrong: the opposite.',
  open: 'right: says that a server listens when one does, and only then. wrong: the opposite.',
};

export function grade(job: Job, scene: Scene, standing: Standing, outcome: Outcome): Grade {
  if (outcome.harm.length > 0) return 'wrong';
  if (job === 'explain') return gradeExplanation(scene, standing, outcome);
  if (job === 'free') return gradeFreeing(scene, outcome);
  return (outcome.status === 0) === (scene[job] === 'done') ? 'right' : 'wrong';
}

function gradeFreeing({ free }: Scene, { status, bindable, output }: Outcome): Grade {
  if (free === 'left')
    return status === 0 ? 'wrong' : /usage|stack|at .*\(.*:\d+:\d+\)/i.test(output) ? 'partly' : 'right';
  if (bindable) return status === 0 ? 'right' : 'partly';
  return status === 0 ? 'wrong' : 'partly';
}

function gradeExplanation({ explain }: Scene, { holders = [], innocent = [] }: Standing, { output }: Outcome): Grade {
  const { reason, free = false } = explain ?? {};
  // A terminal's width breaks sentences anywhere.
  const said = output.replace(/\s+/g, ' ');
  const names = (pid: number): boolean => new RegExp(`(?<![\\d.]|[\\d\\]*]:)${pid}(?![\\d.:])`).test(output);
  if (free) return /in use|blocked|LISTEN\b|killed/i.test(output) ? 'wrong' : 'right';
  const blames = innocent.filter((pid) => !holders.includes(pid)).some(names);
  const named = holders.filter(names);
  const tells = reason === undefined || reason.test(said);
  if (blames && named.length === 0) return 'wrong';
  if (named.length === holders.length && tells && !blames && output.trim() !== '') return 'right';
  const shows = named.length > 0 || /in use|blocked|LISTEN|UNCONN|TIME.WAIT|ESTAB|FIN.WAIT|EADDRINUSE/i.test(output);
  return shows || (reason !== undefined && holders.length === 0 && tells && output.trim() !== '') ? 'partly' : 'wrong';
}
