/**
 * The restart without a gap: the listening socket of the older instance is copied, served on, and only then is the old process asked to
 * finish. The port is never closed, so nobody is refused, and what waits in the queue is served by the new process.
 */
import cluster from 'node:cluster';
import type { Server } from 'node:net';
import { resolve } from 'node:path';
import { copySocket } from '../act/copy-socket.ts';
import { askToEnd, kill, waitForEnd } from '../act/end.ts';
import { mayEnd } from '../ask/doubts.ts';
import { look } from '../ask/look.ts';
import type { Holder, ProcessIdentity } from '../model/facts.ts';
import { managers as table } from '../model/managers.ts';
import { isWorkerOfOurs, neverAsked, onlyHasOpen } from '../model/may-end.ts';
import { programName } from '../model/program.ts';
import { whyNever } from '../model/stops.ts';
import type { BlockerHolder, Report } from '../model/verdict.ts';
import type { Os } from '../os/os.ts';
import type { ProcessHandle } from '../os/processes.ts';
import { listenOnDescriptor } from './node-listen.ts';
import { askForSocket, type Offered } from './offer.ts';
import { isSameProgram, programOf, thisProgram } from './program.ts';
import { letSuccessorsIn } from './raw-socket.ts';

/** From whom, and how insistently. */
export interface TakeOverOptions {
  /**
   * Whose port it may be: a process id, or a function that says yes to a holder.
   * @default an older process of this user, with the same executable and script, in the same systemd unit; of a Unix socket in the working
   * directory also another program that runs in this directory and that `free` would stop unasked
   */
  readonly from?: number | ((holder: BlockerHolder) => boolean);
  /** How long the old process may take to end after SIGTERM. @default 30000 */
  readonly timeoutMs?: number;
  /** What then: end it by SIGKILL, or give the port back to it and fail. @default false */
  readonly force?: boolean;
}

/** The process that had the port before. */
export interface Predecessor {
  readonly pid: number;
  /** How the port came over: its socket was `taken` or `handed` over, without a gap; or it was only `asked` to end, and the port was bound anew. */
  readonly how: 'taken' | 'handed' | 'asked';
}

/** @internal An older instance that is still there. The owner closes `process`, and `socket` unless a server owns it. */
export interface Found {
  readonly process: ProcessHandle;
  /** A copy of its listening socket; null where it could not be had, or has another address. */
  readonly socket: number | null;
  readonly how: Predecessor['how'];
}

/** @internal Why a port was not taken over. */
export class NotTaken extends Error {
  override readonly name = 'NotTaken';
}

/**
 * @internal
 * Finds the older instance that blocks, and copies its listening socket if it may be had. Null when it is gone by now.
 *
 * @throws {NotTaken} when another program blocks, or nobody that could be asked.
 */
export async function findPredecessor(
  os: Os,
  report: Report,
  options: TakeOverOptions,
  inWorker: boolean,
  signal?: AbortSignal,
): Promise<Found | null> {
  const holder = leaderOf(report);
  if (holder === null) {
    const handed = await handedOver(os, report, options, signal);
    if (handed !== null) return handed;
    throw new NotTaken('No process could be seen that holds the port');
  }
  const identity = os.processes.identify(holder.pid);
  const handle = identity === null ? null : os.processes.open(identity);
  const old = handle === null ? null : os.readProcess(handle.identity);
  if (handle === null || old === null) {
    handle?.close();
    return null;
  }
  let handed: Found | null = null;
  try {
    let same = isSameProgram(programOf(os, old), thisProgram());
    if (!same && options.from === undefined) {
      // A program that gave itself another title (process.title) still knows what it is.
      handed = await handedOver(os, report, {}, signal);
      same = handed?.process.identity.pid === holder.pid;
    }
    checkIsPredecessor(os, old, holder, options, same || servesOurPath(os, report, old));
    checkFamily(os, report, old);
    // In a cluster Node takes a descriptor for one of the primary's, so that a copy is of no use.
    if (inWorker) return { process: handle, socket: null, how: 'asked' };
    const socket = takeSocket(os, handle, report);
    if (socket !== null) return { process: handle, socket, how: 'taken' };
    handed ??= await handedOver(os, report, { ...options, from: holder.pid }, signal);
    if (handed === null) return { process: handle, socket: null, how: 'asked' };
    const found = handed;
    handed = null;
    handle.close();
    return found;
  } catch (error) {
    handle.close();
    throw error;
  } finally {
    if (handed !== null) letGo(os, handed);
  }
}

function letGo(os: Os, { process, socket }: Found): void {
  process.close();
  if (socket !== null) os.sockets.close(socket);
}

/** @internal Removes the file that a Unix socket of this user left behind. True when the path is free. */
export async function removeLeftover(os: Os, { endpoint, verdict, plan }: Report): Promise<boolean> {
  if (endpoint.protocol !== 'unix' || verdict?.cause !== 'unix-socket-stale') return false;
  if (!plan.some(({ remedy, automatic }) => remedy === 'remove-file' && automatic)) return false;
  const { removeSocketFile } = await import('../act/leftovers.ts');
  const { outcome } = removeSocketFile(os, endpoint.path, null);
  return outcome === 'done' || outcome === 'skipped';
}

/** @internal Serves on the copied socket, beside the old process, with a queue that is not shorter than it was. */
export async function serveOn(
  os: Os,
  server: Server,
  fd: number,
  backlog: number,
  signal?: AbortSignal,
): Promise<void> {
  // The old program's own drain must not hold connections off: they are ours now.
  os.sockets.markShared(fd);
  letSuccessorsIn(os, fd);
  await listenOnDescriptor(server, fd, Math.max(backlog, os.sockets.acceptQueue(fd).limit), false, signal);
}

/** @internal Asks the old process to finish, and waits for its end. @throws {NotTaken} when it is still there after the time. */
export async function dismiss(
  os: Os,
  process: ProcessHandle,
  { timeoutMs = 30_000, force = false }: TakeOverOptions,
  signal?: AbortSignal,
): Promise<void> {
  const { pid } = process.identity;
  if (askToEnd(os, process) === 'denied')
    throw new NotTaken(`Process ${pid}, which holds the port, may not be asked to end by this user`);
  if ((await waitForEnd(os, [process], timeoutMs, signal)).length === 0) return;
  if (force) {
    kill(process);
    if ((await waitForEnd(os, [process], 5000, signal)).length === 0) return;
  }
  throw new NotTaken(
    `Process ${pid}, which holds the port, was asked to end and did not in time, so it keeps the port`,
  );
}

/** @internal Dismisses those that held the port before and still do. */
export async function dismissAll(
  os: Os,
  family: readonly ProcessIdentity[],
  now: ReadonlyMap<number, BlockerHolder>,
  options: TakeOverOptions,
  signal?: AbortSignal,
): Promise<void> {
  for (const identity of family) {
    if (identity.pid === process.pid || !now.has(identity.pid)) continue;
    using handle = os.processes.open(identity);
    if (handle !== null) await dismiss(os, handle, options, signal);
  }
}

/**
 * @internal
 * Every process that has a blocker open now and may be asked to end, so that nobody else can be meant later. An editor that the old server had
 * started, and that inherited its socket, is none of them.
 */
export function familyOf(os: Os, { endpoint, options }: Report): ProcessIdentity[] {
  const { blockers, facts, managers } = look({ endpoint, options }, os, 'all');
  return blockers
    .flatMap(({ socket }) => facts.holders.get(socket.inode) ?? [])
    .filter(
      (holder) =>
        !onlyHasOpen(holder, facts) && whyNever(holder, managers.get(holder.pid) ?? null, facts.asker) === null,
    );
}

/** @internal Everybody who has a blocker open, by process id. */
export function holdersOf(report: Report): Map<number, BlockerHolder> {
  return new Map(report.blockers.flatMap(({ holders }) => holders.map((holder) => [holder.pid, holder])));
}

/** @internal Marks what the old process will leave behind, so that its remains do not block us. What we may not reach stays as it is. */
export function vaccinate(os: Os, process: ProcessHandle, report: Report): void {
  for (const blocker of report.blockers) {
    for (const holder of blocker.holders) {
      if (holder.pid !== process.identity.pid) continue;
      const { fd } = copySocket(os, process, holder.descriptors, blocker.inode);
      if (fd === null) continue;
      try {
        if (blocker.protocol !== 'unix') letSuccessorsIn(os, fd);
      } finally {
        os.sockets.close(fd);
      }
    }
  }
}

/** The one process behind all blockers: of a family that shares the socket, the one that started the others. */
function leaderOf(report: Report): BlockerHolder | null {
  const holders = holdersOf(report);
  if (holders.size === 0) return null;
  for (const leader of holders.values()) {
    const others = [...holders.values()].filter((holder) => holder !== leader);
    if (others.every((other) => other.parents.some((parent) => parent.pid === leader.pid))) return leader;
  }
  throw new NotTaken(`Several programs hold the port: processes ${[...holders.keys()].join(', ')}`);
}

/** @throws {NotTaken} */
function checkIsPredecessor(
  os: Os,
  old: Holder,
  blocker: BlockerHolder,
  options: TakeOverOptions,
  isSame: boolean,
): void {
  const { pid } = old;
  if (pid === process.pid) throw new NotTaken('This process itself holds the port');
  const own = os.processes.identify(process.pid);
  const self = own === null ? null : os.readProcess(own);
  // Whatever "from" says.
  const never = neverAsked(old, { pid: process.pid, ancestors: self?.parents.map((ancestor) => ancestor.pid) ?? [] });
  if (never !== null) throw new NotTaken(`Process ${pid}, which holds the port, is not asked to end: ${never}`);
  if (typeof options.from === 'function') {
    if (options.from(blocker)) return;
    throw new NotTaken(`Process ${pid} holds the port, and "from" said no to it`);
  }
  if (typeof options.from === 'number') {
    if (options.from === pid) return;
    throw new NotTaken(`Process ${pid} holds the port, not process ${options.from}`);
  }
  if (self === null || old.uid !== self.uid)
    throw new NotTaken(`Process ${pid}, which holds the port, is another user's`);
  const [parent] = self.parents;
  if (!isSame) throw new NotTaken(`Process ${pid}, which holds the port, is another program: ${programName(old)}`);
  if (cluster.isWorker && old.parents[0]?.pid === parent?.pid)
    throw new NotTaken(`Process ${pid}, which holds the port, is a worker of the same cluster`);
  if (old.startedAtMs > self.startedAtMs)
    throw new NotTaken(`Process ${pid}, which holds the port, is a newer instance of this program`);
  // A service manager would start it again, and the two would take the port from each other for ever.
  if (old.unit !== self.unit && old.unit !== null)
    throw new NotTaken(
      `Process ${pid}, which holds the port, belongs to ${old.unit}: stop that unit, or name the process in "from"`,
    );
}

/** Below it may also be a program of another user, with a listener of its own: a shell that it started. @throws {NotTaken} */
function checkFamily(os: Os, { endpoint, options }: Report, old: Holder): void {
  const { blockers, facts } = look({ endpoint, options }, os, 'all');
  const other = blockers
    .flatMap(({ socket }) => facts.holders.get(socket.inode) ?? [])
    .find((one) => one.uid !== old.uid && one.uid !== facts.asker.uid && !isWorkerOfOurs(one, facts));
  if (other !== undefined) throw new NotTaken(`Process ${other.pid}, which holds the port too, is another user's`);
}

/** A Unix socket in the directory that both run in belongs to what is worked on there, whatever the program is called by now. */
function servesOurPath(os: Os, { endpoint, options }: Report, old: Holder): boolean {
  const cwd = process.cwd();
  if (endpoint.protocol !== 'unix' || old.cwd !== cwd || !resolve(endpoint.path).startsWith(`${cwd}/`)) return false;
  const { facts, managers } = look({ endpoint, options }, os, 'all');
  const holder = [...facts.holders.values()].flat().find(({ pid }) => pid === old.pid);
  const manager = managers.get(old.pid);
  const stays = manager === undefined || table[manager.kind].again === null;
  return holder !== undefined && stays && mayEnd(holder, facts).kind === 'yes';
}

/** A copy of the listener that has exactly the asked address, or null. */
function takeSocket(os: Os, handle: ProcessHandle, report: Report): number | null {
  const { endpoint } = report;
  // A Unix socket's file is removed by the process that made it, and datagrams would go to either process.
  if (endpoint.protocol !== 'tcp') return null;
  for (const { inode } of sameListeners(report)) {
    for (const blocker of report.blockers) {
      if (blocker.inode !== inode) continue;
      for (const holder of blocker.holders) {
        if (holder.pid !== handle.identity.pid) continue;
        const { fd } = copySocket(os, handle, holder.descriptors, inode, (copy) => os.sockets.isListening(copy));
        if (fd !== null) return fd;
      }
    }
  }
  return null;
}

async function handedOver(
  os: Os,
  report: Report,
  options: TakeOverOptions,
  signal?: AbortSignal,
): Promise<Found | null> {
  const { endpoint } = report;
  if (endpoint.protocol !== 'tcp') return null;
  const offered = await askForSocket(os, endpoint.address, endpoint.port, signal);
  if (offered === null) return null;
  const proven = sameListeners(report).some(({ inode }) => isListener(os, offered.descriptor, inode));
  const identity = proven && isWanted(offered, options) ? os.processes.identify(offered.pid) : null;
  const handle = identity === null ? null : os.processes.open(identity);
  if (handle !== null) return { process: handle, socket: offered.descriptor, how: 'handed' };
  os.sockets.close(offered.descriptor);
  return null;
}

function isWanted(offered: Offered, options: TakeOverOptions): boolean {
  if (typeof options.from === 'number') return options.from === offered.pid;
  // A function wants to see the holder, and this one is hidden from us.
  return options.from === undefined && isSameProgram(offered.program, thisProgram());
}

function sameListeners({ endpoint, blockers }: Report): Report['blockers'] {
  if (endpoint.protocol !== 'tcp') return [];
  return blockers.filter(
    ({ state, local }) => state === 'LISTEN' && local.address === endpoint.address && local.port === endpoint.port,
  );
}

function isListener(os: Os, fd: number, inode: number): boolean {
  return os.sockets.identity(fd)?.inode === inode && os.sockets.isListening(fd);
}
