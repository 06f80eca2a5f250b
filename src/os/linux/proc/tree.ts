/**
 * Processes by their session, and below one another.
 */
import { attempt, type Proc } from './proc.ts';
import { isOver, readStat } from './stat.ts';

const childrenLimit = 1_048_576;

/** Processes of a session (setsid(2)) that run; what may not be read is not counted. @throws {ProcError} when processes cannot be listed. */
export function processesInSession(proc: Proc, session: number): number[] {
  return proc.pids().filter((pid) => {
    const stat = readStat(proc, pid);
    return stat !== null && !isOver(stat) && stat.session === session;
  });
}

/** A process and everything below it (`children`, proc_pid_task(5)); a process whose parent has ended is below nobody. */
export function processTree(proc: Proc, root: number): number[] {
  const tree = [root];
  for (const pid of tree) {
    for (const thread of attempt(() => proc.list(`${pid}/task`)) ?? []) {
      const children = attempt(() => proc.text(`${pid}/task/${thread}/children`, childrenLimit));
      // A kernel without CONFIG_PROC_CHILDREN.
      if (children === null && pid === root) return processesInSession(proc, root);
      tree.push(...(children ?? '').split(' ').filter(Boolean).map(Number));
    }
  }
  return tree;
}
