/**
 * Orphans that are given to this process. They are reaped by pid: waitpid(-1) would take the status of a child that Node waits for,
 * which then never emits `exit`.
 */
import { littleEndian } from '../../byte-order.ts';
import type { Orphans } from '../../orphans.ts';
import { openProc } from '../proc/proc.ts';
import { readStat } from '../proc/stat.ts';
import { hasLibc, libc } from './libc.ts';

const PR_SET_CHILD_SUBREAPER = 36;
const WNOHANG = 1;

export const orphans: Orphans = {
  adopt() {
    return hasLibc() && libc().prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) === 0;
  },
  exited() {
    const proc = openProc('/proc');
    return children().filter((pid) => {
      const stat = readStat(proc, pid);
      return stat !== null && stat.state === 'Z' && stat.parent === process.pid;
    });
  },
  reap(pid) {
    const status = Buffer.alloc(4);
    if (libc().waitpid(pid, status, WNOHANG) !== pid) return null;
    const value = littleEndian ? status.readInt32LE() : status.readInt32BE();
    // wait(2): the low seven bits are the signal, the next byte the status.
    const signal = value & 0x7f;
    return signal === 0 ? { pid, code: (value >> 8) & 0xff, signal: null } : { pid, code: null, signal };
  },
};

/** By `children` (proc_pid_task(5)); by every stat where the kernel was built without CONFIG_PROC_CHILDREN. */
function children(): number[] {
  const proc = openProc('/proc');
  try {
    return proc
      .list('self/task')
      .flatMap((thread) => proc.text(`self/task/${thread}/children`).split(' ').filter(Boolean).map(Number));
  } catch {
    return proc.pids().filter((pid) => readStat(proc, pid)?.parent === process.pid);
  }
}
