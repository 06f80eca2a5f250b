/**
 * Where /proc shows what a process has. A process whose first thread has ended (pthread_exit(3) in main) goes on as a zombie
 * without descriptors, memory and directory; its other threads show them (proc_pid_task(5)).
 */
import { attempt, type Proc } from './proc.ts';
import { parseStat } from './stat.ts';

/** `123`, or `123/task/124` when only that thread still shows anything. */
export function placeOf(proc: Proc, pid: number): string {
  const own = attempt(() => parseStat(proc.text(`${pid}/stat`))) ?? null;
  if (own === null || own.state !== 'Z' || own.threads < 2) return `${pid}`;
  for (const thread of attempt(() => proc.list(`${pid}/task`)) ?? []) {
    const place = `${pid}/task/${thread}`;
    const stat = attempt(() => parseStat(proc.text(`${place}/stat`))) ?? null;
    if (stat !== null && stat.state !== 'Z' && stat.state !== 'X') return place;
  }
  return `${pid}`;
}
