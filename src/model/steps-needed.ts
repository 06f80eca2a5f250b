/**
 * Which steps of a plan may turn out not to be needed, because one before them may be enough. Pure.
 */
import type { Socket } from './facts.ts';
import type { PlannedStep } from './step.ts';
import { toBlame } from './steps.ts';
import type { Question } from './verdict.ts';

/**
 * The same steps, each with `onlyIfNeeded`. A preview must not announce the end of a process that will live on when
 * marking its socket was enough, or of a worker that its parent takes along.
 */
export function withNeeds(question: Question, steps: readonly PlannedStep[]): PlannedStep[] {
  const allowed = steps.filter((step) => step.refusal === null);
  const stopped = new Set(allowed.flatMap(({ work }) => (work.kind === 'stop' ? [work.holder.pid] : [])));
  const blame = toBlame(question);
  const certain = blame.some((candidate) => candidate.conflict === 'yes');
  const ended = new Set<number>();
  let left = blame.map((candidate) => candidate.socket);
  const mayBeFree = (): boolean => (certain ? left.length === 0 : left.length < blame.length);
  let freeBeforeStops: boolean | null = null;
  return steps.map((step) => {
    if (step.refusal !== null) return { ...step, onlyIfNeeded: false };
    const { work } = step;
    let onlyIfNeeded = work.kind !== 'mark' && mayBeFree();
    if (work.kind === 'stop') {
      // All of them are asked at once, except for those whose parent is one of them.
      freeBeforeStops ??= mayBeFree();
      onlyIfNeeded = freeBeforeStops || work.holder.parents.some(({ pid }) => stopped.has(pid));
      ended.add(work.holder.pid);
    }
    if (step.target.kind === 'manager') for (const pid of step.target.pids) ended.add(pid);
    left = left.filter((socket) => !mayClear(step, socket) && !mayEnd(socket, question, ended));
    return { ...step, onlyIfNeeded };
  });
}

/** What is marked still blocks while it listens. */
function mayClear({ work }: PlannedStep, socket: Socket): boolean {
  if (work.kind === 'mark')
    return socket.state !== 'LISTEN' && work.sockets.some(({ inode }) => inode === socket.inode);
  if (work.kind === 'destroy') return work.sockets.some((each) => each === socket);
  return work.kind === 'wait' && socket.inode === 0;
}

function mayEnd(socket: Socket, { facts }: Question, ended: ReadonlySet<number>): boolean {
  const holders = facts.holders.get(socket.inode) ?? [];
  return (
    holders.length > 0 &&
    holders.every(({ pid, parents }) => ended.has(pid) || parents.some((parent) => ended.has(parent.pid)))
  );
}
