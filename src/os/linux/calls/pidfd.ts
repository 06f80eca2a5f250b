/**
 * Processes as identities: held by a pidfd (pidfd_open(2), Linux 5.3), or checked by start time where there is none.
 */
import { readlinkSync } from 'node:fs';
import type { ProcessIdentity } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import type { Processes, ProcessHandle, SignalOutcome } from '../../processes.ts';
import { readVariable } from '../proc/environment.ts';
import { findHolders } from '../proc/holders.ts';
import { listeningPaths } from '../proc/listening-paths.ts';
import { isGone, openProc, ProcError } from '../proc/proc.ts';
import { isOver, type ProcessStat, parseStat } from '../proc/stat.ts';
import { processesInSession, processTree } from '../proc/tree.ts';
import { waitsForInput } from '../proc/waiting.ts';
import { writersOf } from '../proc/writers.ts';
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

const proc = openProc('/proc');

export const processes: Processes = {
  open(identity) {
    const pidfd = openPidfd(identity.pid);
    if (pidfd === 'gone') return null;
    let same = false;
    try {
      same = startTicksOf(identity.pid) === identity.started;
    } finally {
      if (!same && pidfd !== null) libc().close(pidfd);
    }
    if (!same) return null;
    return pidfd === null ? checkedByStartTime(identity) : heldByPidfd(identity, pidfd);
  },
  identify(pid) {
    const started = startTicksOf(pid);
    return started === null ? null : { pid, started };
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
  inSession: (session) => processesInSession(proc, session),
  tree: (pid) => processTree(proc, pid),
  withSockets,
  writing: (pids, path) => writersOf(proc, pids, path),
  listeningPaths,
  readVariable,
  terminal,
  waitsForInput: (pid, inode) => waitsForInput(proc, pid, inode),
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
      const stat = statOf(identity.pid);
      return stat !== null && stat.started === identity.started && !isOver(stat);
    },
    signal: (signal) => {
      if (startTicksOf(identity.pid) !== identity.started) return 'gone';
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
  if (libc().pidfdSendSignal(pidfd, process.getBuiltinModule('node:os').constants.signals[signal]) === 0) return 'sent';
  const errno = libc().errno();
  if (errno === ESRCH) return 'gone';
  if (errno === EPERM) return 'denied';
  throw new NativeError('pidfd_send_signal', errno);
}

function withSockets(inodes: readonly number[]): ProcessIdentity[] {
  const wanted = inodes.map((inode) => ({ inode, uid: 0, cgroupId: null, needed: true }));
  const { found } = findHolders(proc, wanted, 'all');
  const pids = new Set([...found.values()].flatMap((byPid) => [...byPid.keys()]));
  return [...pids].flatMap((pid) => processes.identify(pid) ?? []);
}

function terminal(): 'foreground' | 'background' | 'none' {
  const stat = statOf(process.pid);
  if (stat === null || stat.terminal === 0) return 'none';
  return stat.group === stat.foreground ? 'foreground' : 'background';
}

function startTicksOf(pid: number): string | null {
  return statOf(pid)?.started ?? null;
}

/** Null when it is gone or hidden. @throws {Error} of Node for what does not say that it is gone, such as EMFILE. */
function statOf(pid: number): ProcessStat | null {
  if (!Number.isSafeInteger(pid) || pid < 1) return null;
  try {
    return parseStat(proc.text(`${pid}/stat`));
  } catch (error) {
    if (!(error instanceof ProcError)) throw error;
    if (isGone(error.code) || error.code === 'EACCES') return null;
    throw error.cause;
  }
}
