/**
 * Processes as identities. A kqueue holds on to the process itself, so that its end is never taken for another's; a signal names the process
 * by its audit token from macOS 14.2 on, and before that follows a look at its identity, which leaves a window of microseconds.
 */
import type { ProcessIdentity } from '../../model/facts.ts';
import { UnsupportedError } from '../errors.ts';
import type { Processes, ProcessHandle, SignalOutcome } from '../processes.ts';
import { isRefused, listPids } from './asking.ts';
import { identityOf, startedOf } from './describe.ts';
import { eachSocket } from './holders.ts';
import { kevent64 } from './layouts.ts';
import type { LibSystem } from './lib-system.ts';
import type { Mac } from './mac.ts';
import {
  EACCES,
  EINVAL,
  EPERM,
  ESRCH,
  EV_ADD,
  EV_ERROR,
  EVFILT_PROC,
  failure,
  NOTE_EXIT,
  PROC_ALL_PIDS,
  signalNumbers,
} from './numbers.ts';
import { executableOf, parentAndUser, processArguments, processFacts, processVersion } from './process-info.ts';

/** The kqueue behind a handle, for events.ts. */
const queues = new WeakMap<ProcessHandle, number>();

/** The kqueue of a handle that is open; null when it is closed. */
export function queueOf(handle: ProcessHandle): number | null {
  return queues.get(handle) ?? null;
}

/** A process that runs another program since (exec(2)) has a new version; one that does so again and again is left alone. */
const mostTries = 3;

export function openProcesses(mac: Mac, lacks: (capability: 'waitsForInput' | 'copySocket') => string): Processes {
  const lib = (): LibSystem => mac.lib();
  const { darwin } = mac;
  const isSame = ({ pid, started }: ProcessIdentity): boolean => {
    const version = processVersion(lib(), darwin, pid);
    return version !== null && startedOf(version.uniqueId) === started;
  };

  return {
    open(identity) {
      const kq = lib().kqueue();
      if (kq === -1) throw failure('kqueue', lib().errno());
      const isWatched = watchExit(lib(), kq, identity.pid);
      // The watch is of the process that has the number now: whether that is the right one is looked at afterwards.
      if (isWatched && isSame(identity)) return handleOf(identity, kq);
      lib().close(kq);
      return null;
    },
    identify: (pid) => identityOf(lib(), darwin, pid),
    executable: (pid) => executableOf(lib(), pid),
    inSession(session) {
      const pids = listPids(lib(), PROC_ALL_PIDS);
      return isRefused(pids) ? [] : pids.filter((pid) => lib().getsid(pid) === session);
    },
    tree(root) {
      const pids = listPids(lib(), PROC_ALL_PIDS);
      if (isRefused(pids)) return [root];
      const children = new Map<number, number[]>();
      for (const pid of pids) {
        const parent = parentAndUser(lib(), darwin, pid)?.parent;
        if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
      }
      // A set grows while it is walked: each descendant is visited once.
      const family = new Set([root]);
      for (const pid of family) for (const child of children.get(pid) ?? []) family.add(child);
      return [...family];
    },
    withSockets(ids) {
      const wanted = new Set(ids);
      const pids = listPids(lib(), PROC_ALL_PIDS);
      if (isRefused(pids)) return [];
      return pids.flatMap((pid) => {
        let has = false;
        eachSocket(lib(), darwin, pid, ({ id }) => {
          has ||= wanted.has(id);
        });
        return has ? (identityOf(lib(), darwin, pid) ?? []) : [];
      });
    },
    // Only hold asks, which does not run here.
    writing: () => [],
    listeningPaths(pid) {
      const paths: string[] = [];
      eachSocket(lib(), darwin, pid, ({ protocol, isListening, local }) => {
        if (protocol === 'unix' && isListening && local.address !== '') paths.push(local.address);
      });
      return paths;
    },
    readVariable(pid, name) {
      const found = processArguments(lib(), pid);
      if (isRefused(found)) return null;
      const entry = found.environment.find((one) => one.startsWith(`${name}=`));
      return entry === undefined ? null : entry.slice(name.length + 1);
    },
    terminal() {
      const own = processFacts(lib(), darwin, process.pid);
      if (own === null || own.terminal === null) return 'none';
      return own.group === own.foreground ? 'foreground' : 'background';
    },
    waitsForInput: () => {
      throw new UnsupportedError(lacks('waitsForInput'));
    },
  };

  function handleOf(identity: ProcessIdentity, kq: number): ProcessHandle {
    let ended = false;
    const hasExited = (): boolean => {
      if (!queues.has(handle)) throw new Error(`The handle of process ${identity.pid} is closed`);
      ended ||= readExit(lib(), kq);
      return ended;
    };
    const handle: ProcessHandle = {
      identity,
      isAlive: () => !hasExited(),
      signal: (signal) => {
        const number = signalNumbers[signal];
        if (number === undefined) throw failure('kill', EINVAL, signal);
        return send(identity, number, hasExited);
      },
      takeDescriptor: () => {
        throw new UnsupportedError(lacks('copySocket'));
      },
      close: () => {
        if (queues.delete(handle)) lib().close(kq);
      },
      [Symbol.dispose]: () => handle.close(),
    };
    queues.set(handle, kq);
    return handle;
  }

  function send(identity: ProcessIdentity, signal: number, hasExited: () => boolean): SignalOutcome {
    const { proc_signal_with_audittoken: byToken } = lib();
    for (let again = 0; again < mostTries; again++) {
      if (hasExited()) return 'gone';
      const version = processVersion(lib(), darwin, identity.pid);
      if (version === null || startedOf(version.uniqueId) !== identity.started) return 'gone';
      const errno =
        byToken === null ? killNow(identity.pid, signal) : byToken(auditToken(identity.pid, version.version), signal);
      if (errno === 0) return 'sent';
      if (errno === EPERM || errno === EACCES) return 'denied';
      if (errno !== ESRCH) throw failure(byToken === null ? 'kill' : 'proc_signal_with_audittoken', errno);
      // It is gone, or runs another program since: looked at again.
    }
    return 'gone';
  }

  function killNow(pid: number, signal: number): number {
    return lib().kill(pid, signal) === 0 ? 0 : lib().errno();
  }
}

/**
 * An audit_token_t, of which the kernel looks at the pid and its version alone when it sends a signal (proc_find_audit_token of
 * bsd/kern/kern_proc.c).
 */
export function auditToken(pid: number, version: number): Buffer {
  const token = Buffer.alloc(32);
  token.writeUInt32LE(pid, 20);
  token.writeUInt32LE(version >>> 0, 28);
  return token;
}

/** False when there is no such process, or it is a zombie. Everybody may watch every process. @throws {NativeError} */
function watchExit(lib: LibSystem, kq: number, pid: number): boolean {
  const change = Buffer.alloc(kevent64.of(0).size);
  change.writeBigUInt64LE(BigInt(pid), 0);
  change.writeInt16LE(EVFILT_PROC, 8);
  change.writeUInt16LE(EV_ADD, 10);
  change.writeUInt32LE(NOTE_EXIT, 12);
  if (lib.kevent64(kq, change, 1, null, 0) !== -1) return true;
  const errno = lib.errno();
  if (errno === ESRCH) return false;
  throw failure('kevent64', errno);
}

/** Whether the queue has the end of its process. Reading takes the event out, so the answer has to be kept. */
function readExit(lib: LibSystem, kq: number): boolean {
  const layout = kevent64.of(0);
  const event = Buffer.alloc(layout.size);
  if (lib.kevent64(kq, null, 0, event, 1) <= 0) return false;
  const { filter, flags } = layout.read(event);
  return filter === EVFILT_PROC && (flags & EV_ERROR) === 0;
}
