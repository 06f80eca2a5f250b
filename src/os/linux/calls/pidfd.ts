/**
 * Processes as identities: held by a pidfd (pidfd_open(2), Linux 5.3), or checked by start time where there is none.
 */
import { readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import type { ProcessIdentity } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import type { Processes, ProcessHandle, SignalOutcome } from '../../processes.ts';
import { readVariable } from '../proc/environment.ts';
import { findHolders } from '../proc/holders.ts';
import { openProc, ProcError } from '../proc/proc.ts';
import { processesInSession, processTree, waitsForInput } from '../proc/waiting.ts';
import { hasLibc, libc } from './libc.ts';

const EPERM = 1;
const ESRCH = 3;
const EINVAL = 22;
const ENFILE = 23;
const EMFILE = 24;
const ENOSYS = 38;
const POLLIN = 1;

type SignalName = Parameters<ProcessHandle['signal']>[0];

/** The pidfd behind a handle, for events.ts; null when it is checked by start time. */
const pidfds = new WeakMap<ProcessHandle, number>();

export const processes: Processes = {
  open(identity) {
    const pidfd = openPidfd(identity.pid);
    if (pidfd === 'gone') return null;
    let same = false;
    try {
      same = startTicksOf(identity.pid) === identity.startTicks;
    } finally {
      if (!same && pidfd !== null) libc().close(pidfd);
    }
    if (!same) return null;
    return pidfd === null ? checkedByStartTime(identity) : heldByPidfd(identity, pidfd);
  },
  identify(pid) {
    const startTicks = startTicksOf(pid);
    return startTicks === null ? null : { pid, startTicks };
  },
  executable(pid) {
    try {
      // The kernel says so when the file was replaced since.
      return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return null;
      throw error;
    }
  },
  inSession: processesInSession,
  tree: processTree,
  withSockets,
  readVariable,
  terminal,
  waitsForInput,
};

/** The pidfd of a handle that is still open, or null when it has none. */
export function pidfdOf(handle: ProcessHandle): number | null {
  return pidfds.get(handle) ?? null;
}

/** A handle without a pidfd: each signal is preceded by a look at the start time, which leaves a gap of microseconds. */
export function checkedByStartTime(identity: ProcessIdentity): ProcessHandle {
  const handle: ProcessHandle = {
    identity,
    isAlive: () => {
      const stat = readStat(identity.pid);
      if (stat === null || stat.startTicks !== identity.startTicks || stat.state === 'X') return false;
      // Its other threads may go on when the first one has ended.
      return stat.state !== 'Z' || stat.threads > 1;
    },
    signal: (signal) => {
      if (startTicksOf(identity.pid) !== identity.startTicks) return 'gone';
      try {
        process.kill(identity.pid, signal);
        return 'sent';
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === 'ESRCH') return 'gone';
        if (code === 'EPERM') return 'denied';
        throw error;
      }
    },
    takeDescriptor: () => ({ fd: null, why: 'ENOSYS' }),
    close: () => {},
    [Symbol.dispose]: () => {},
  };
  return handle;
}

function heldByPidfd(identity: ProcessIdentity, pidfd: number): ProcessHandle {
  const held = (): number => {
    const fd = pidfds.get(handle);
    if (fd === undefined) throw new Error(`The handle of process ${identity.pid} is closed`);
    return fd;
  };
  const handle: ProcessHandle = {
    identity,
    isAlive: () => !hasEnded(held()),
    signal: (signal) => send(held(), signal),
    takeDescriptor: (descriptor) => {
      const fd = libc().pidfdGetfd(held(), descriptor, 0);
      return fd >= 0 ? { fd } : { fd: null, why: new NativeError('pidfd_getfd', libc().errno()).code };
    },
    close: () => {
      if (pidfds.delete(handle)) libc().close(pidfd);
    },
    [Symbol.dispose]: () => handle.close(),
  };
  pidfds.set(handle, pidfd);
  return handle;
}

/** `gone` when there is no such process; null when this kernel, or this moment, has no pidfd to give. */
function openPidfd(pid: number): number | 'gone' | null {
  if (!hasLibc()) return null;
  const fd = libc().pidfdOpen(pid, 0);
  if (fd >= 0) return fd;
  const errno = libc().errno();
  // EINVAL: the number of a thread, or no number of a process at all.
  if (errno === ESRCH || errno === EINVAL) return 'gone';
  // seccomp filters of old container runtimes answer EPERM for a call that they do not know.
  if (errno === ENOSYS || errno === EPERM || errno === EMFILE || errno === ENFILE) return null;
  throw new NativeError('pidfd_open', errno);
}

/** A pidfd is readable when every thread has ended: a zombie too (pidfd_open(2)). */
function hasEnded(pidfd: number): boolean {
  const entry = Buffer.alloc(8);
  new DataView(entry.buffer, entry.byteOffset).setInt32(0, pidfd, littleEndian);
  new DataView(entry.buffer, entry.byteOffset).setInt16(4, POLLIN, littleEndian);
  return libc().poll(entry, 1, 0) > 0;
}

function send(pidfd: number, signal: SignalName): SignalOutcome {
  if (libc().pidfdSendSignal(pidfd, constants.signals[signal]) === 0) return 'sent';
  const errno = libc().errno();
  if (errno === ESRCH) return 'gone';
  if (errno === EPERM) return 'denied';
  throw new NativeError('pidfd_send_signal', errno);
}

function withSockets(inodes: readonly number[]): ProcessIdentity[] {
  const wanted = inodes.map((inode) => ({ inode, uid: 0, cgroupId: null, needed: true }));
  const { found } = findHolders(openProc('/proc'), wanted, 'all');
  const pids = new Set([...found.values()].flatMap((byPid) => [...byPid.keys()]));
  return [...pids].flatMap((pid) => processes.identify(pid) ?? []);
}

/** Fields 5, 7 and 8 of proc_pid_stat(5): the process group, the terminal, and the process group in its foreground. */
function terminal(): 'foreground' | 'background' | 'none' {
  const [, , group, , device, foreground] = statFields(process.pid) ?? [];
  if (device === undefined || device === '0') return 'none';
  return group === foreground ? 'foreground' : 'background';
}

function startTicksOf(pid: number): string | null {
  return readStat(pid)?.startTicks ?? null;
}

/** Fields 3, 20 and 22 of proc_pid_stat(5). */
function readStat(pid: number): { state: string; threads: number; startTicks: string } | null {
  const fields = statFields(pid);
  const [state, threads, startTicks] = [fields?.[0], fields?.[17], fields?.[19]];
  return state === undefined || startTicks === undefined ? null : { state, threads: Number(threads), startTicks };
}

/** The fields of proc_pid_stat(5) from the third on: the name before them may hold blanks and parentheses. */
function statFields(pid: number): string[] | null {
  if (!Number.isSafeInteger(pid) || pid < 1) return null;
  try {
    const text = openProc('/proc').text(`${pid}/stat`);
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (!(error instanceof ProcError)) throw error;
    if (['ENOENT', 'ESRCH', 'EACCES'].includes(error.code)) return null;
    // Such as EMFILE, which does not say that it is gone.
    throw error.cause;
  }
}
