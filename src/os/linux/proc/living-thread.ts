/**
 * Where /proc shows what a process has. A process whose first thread has ended (pthread_exit(3) in main) goes on as a zombie
 * without descriptors, memory and directory; its other threads show them (proc_pid_task(5)).
 */
import { attempt, type Proc } from './proc.ts';
import { readStat } from './stat.ts';

/** `123`, or `123/task/124` when only that thread still shows anything. @param state The letter of its first thread, where it is known. */
export function placeOf(proc: Proc, pid: number, state?: string): string {
  // Most processes have one thread, and asking for their number costs less than reading what they do.
  if (state !== undefined && state !== 'Z') return `${pid}`;
  if ((attempt(() => proc.threads(pid)) ?? 0) < 2 || readStat(proc, pid)?.state !== 'Z') return `${pid}`;
  for (const thread of attempt(() => proc.list(`${pid}/task`)) ?? []) {
    const place = `${pid}/task/${thread}`;
    const stat = readStat(proc, place);
    if (stat !== null && stat.state !== 'Z' && stat.state !== 'X') return place;
  }
  return `${pid}`;
}
