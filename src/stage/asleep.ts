/**
 * When a process has come to rest. A program that has just printed that it is ready still does a few things before it waits,
 * and whether it serves a socket can only be told of one that waits.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

const patienceMs = 10_000;
const glanceMs = 2;

/**
 * Resolves when every thread of the process sleeps.
 *
 * @throws {Error} after ten seconds.
 */
export async function asleep(pid: number): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (readdirSync(`/proc/${pid}/task`).some((thread) => !sleeps(pid, thread))) {
    if (performance.now() > deadline) throw new Error(`process ${pid} did not come to rest`);
    await setTimeout(glanceMs);
  }
}

/** The state is after the name, which may hold anything (proc_pid_stat(5)). */
function sleeps(pid: number, thread: string): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] === 'S';
  } catch (error) {
    // A thread that ended since it was listed.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return true;
    throw error;
  }
}
