/**
 * The reading half of Linux: facts, inventory, settings, one process, and the kernel's own answer.
 * Nothing here throws for what it could not see; that becomes a gap.
 */

import type { InetEndpoint, Request } from '../../model/endpoint.ts';
import type {
  Facts,
  Gap,
  Holder,
  HolderSearch,
  InetSocket,
  ProcessIdentity,
  Settings,
  Socket,
  UnixFile,
  UnixSocket,
} from '../../model/facts.ts';
import { mayMatter } from '../../model/may-matter.ts';
import { conflict } from '../../model/rules/linux-conflict.ts';
import { binderOf } from '../../model/rules/rules.ts';
import { isNativeError, isUnsupportedError } from '../errors.ts';
import type { Inventory, Reading, ReadOptions } from '../os.ts';
import { readAsker, readPasswd } from './asker.ts';
import { type HiddenFlags, openFlagReader } from './calls/hidden-flags.ts';
import { hasLibc } from './calls/libc.ts';
import { probe } from './calls/probe.ts';
import { readHolders } from './found-holders.ts';
import { readListeners, readPort, readUnlisted, readWaiting, type Source } from './inet-sockets.ts';
import { type Conversation, NetlinkError } from './netlink/netlink.ts';
import { NETLINK_SOCK_DIAG, openNetlink } from './netlink/netlink-socket.ts';
import { type NamedUnixSocket, readUnixSockets } from './netlink/unix-diag.ts';
import { missingHolders } from './proc/gaps.ts';
import { attempt, openProc } from './proc/proc.ts';
import { type Describer, openDescriber, sameProcess } from './proc/process.ts';
import { hasIpv6Sockets, readSettingsOf } from './proc/settings.ts';
import { socketsElsewhere } from './proc/unix-elsewhere.ts';
import { readUnixFile } from './proc/unix-file.ts';
import { readProcNetUnix, socketsAt } from './proc/unix-sockets.ts';
import { readRedirects } from './reach/redirects.ts';
import { readStandings } from './standing.ts';

/** Sockets whose hidden flags are read: more connections than this of one port say nothing new. */
const mostFlags = 1_000;

/** What the reader needs; a test brings its own /proc. */
export interface ReaderOptions {
  /** @default '/proc' */
  readonly procRoot?: string;
  /** The text of the user table. @default that of /etc/passwd */
  readonly passwd?: string;
  /** Opens a conversation with sock_diag. */
  readonly openDiag?: () => Conversation & { close(): void };
}

/** The reader of this machine. */
export const reading: Reading = createReader({});

export function createReader(options: ReaderOptions): Reading {
  const proc = openProc(options.procRoot ?? '/proc');
  const openDiag = options.openDiag ?? (() => openNetlink(NETLINK_SOCK_DIAG));
  const source: Source = {
    proc,
    converse: (use) => {
      const conversation = openDiag();
      try {
        return use(conversation);
      } finally {
        conversation.close();
      }
    },
  };
  const describer = (): Describer => openDescriber(proc, () => options.passwd ?? readPasswd());
  const real = options.procRoot === undefined;
  return {
    readFacts: (request, { holders = 'likely' }: ReadOptions = {}) =>
      readFacts(source, describer(), request, holders, real),
    readInventory: () => readInventory(source, describer(), real),
    readSettings: (): Settings => readSettingsOf(proc),
    hasIpv6: () => hasIpv6Sockets(proc),
    probe,
    readRedirects: (endpoint) => (real && hasLibc() ? readRedirects(proc, endpoint) : []),
    readProcess: (identity) => readProcess(describer(), identity),
  };
}

function readFacts(source: Source, describer: Describer, request: Request, reach: HolderSearch, real: boolean): Facts {
  const { proc } = source;
  const { endpoint } = request;
  const readAtMs = Date.now();
  const gaps: Gap[] = [];
  let sockets: Socket[];
  const unixFile = endpoint.protocol === 'unix' ? readUnixFile(endpoint.path) : null;
  let isUnixSeen = true;
  if (endpoint.protocol === 'unix') {
    const found = readUnixAt(source, endpoint.path, unixFile, gaps);
    isUnixSeen = found !== null;
    sockets = found ?? [];
  } else {
    // Port 0 is a question to the kernel, not a port that somebody has.
    sockets = endpoint.port === 0 ? [] : readPort(source, endpoint.port, gaps);
    if (real && endpoint.protocol === 'tcp' && endpoint.port !== 0 && isUnexplained(request, endpoint, sockets))
      sockets = [...sockets, ...readUnlisted(source, endpoint.port, gaps)];
  }
  const socketGaps = gaps.length;
  const asker = readAsker(proc, describer);
  const needed = (socket: Socket): boolean => mayMatter(endpoint, socket);
  const found = readHolders(proc, describer, sockets, needed, reach, gaps);
  if (reach !== 'none') {
    const missing = sockets.filter(
      (socket) => needed(socket) && socket.inode !== 0 && !found.holders.has(socket.inode),
    );
    gaps.push(...missingHolders(proc, missing, { uid: asker.uid, unseen: found.unseen, userName: describer.userName }));
  }
  // Only what this question is about: of another protocol's holders nothing is ever asked.
  const all = sockets.flatMap((socket) => (needed(socket) ? (found.holders.get(socket.inode) ?? []) : []));
  const makers = [
    ...sockets.map(({ uid }) => uid),
    ...(unixFile === null || unixFile.uid === null ? [] : [unixFile.uid]),
  ];
  return {
    platform: 'linux',
    kernel: attempt(() => proc.text('sys/kernel/osrelease').trim()) ?? '',
    readAtMs,
    sockets: withFlags(sockets, found.holders),
    holders: found.holders,
    unseen: { sockets: endpoint.protocol === 'unix' ? !isUnixSeen : socketGaps > 0, processes: found.unseen !== null },
    standings: readStandings(proc, all, endpoint.protocol === 'unix' ? null : endpoint.port, () =>
      readListeners(source),
    ),
    unixFile,
    users: new Map(makers.map((uid) => [uid, describer.userName(uid)])),
    settings: readSettingsOf(proc),
    asker,
    gaps,
  };
}

/**
 * A bind that fails without a listener that must be in its way: on an older kernel the reason may be a socket that no table shows.
 * A closed connection on the port is not reason enough, because it will be gone in a minute.
 */
function isUnexplained(request: Request, endpoint: InetEndpoint, sockets: readonly Socket[]): boolean {
  if (!hasLibc()) return false;
  const binder = binderOf(endpoint, request.options, process.geteuid?.() ?? 0);
  const explains = (socket: Socket): boolean =>
    socket.protocol === 'tcp' &&
    (socket.state === 'LISTEN' || socket.state === 'BOUND') &&
    conflict(binder, socket) === 'yes';
  return !sockets.some(explains) && probe(request)?.errno === 'EADDRINUSE';
}

function readInventory(source: Source, describer: Describer, real: boolean): Inventory {
  const gaps: Gap[] = [];
  const sockets = readWaiting(source, gaps);
  if (real && hasLibc()) sockets.push(...readUnlisted(source, null, gaps));
  const unixSockets = (readUnix(source, gaps) ?? []).flatMap(listedUnix);
  const { holders, unseen } = readHolders(
    source.proc,
    describer,
    [...sockets, ...unixSockets],
    () => true,
    'all',
    gaps,
  );
  const missing = sockets.filter(({ inode }) => inode !== 0 && !holders.has(inode));
  const uid = process.getuid?.() ?? 0;
  gaps.push(...missingHolders(source.proc, missing, { uid, unseen, userName: describer.userName }));
  const users = new Map(sockets.map((each) => [each.uid, describer.userName(each.uid)]));
  return { sockets, unixSockets, holders, users, asker: readAsker(source.proc, describer), gaps };
}

/** One that others can reach. The name is as its maker wrote it, relative to where it was then. */
function listedUnix({ type, state, name, inode, uid, queue }: NamedUnixSocket): UnixSocket[] {
  if (state === 'ESTABLISHED') return [];
  return [{ protocol: 'unix', type, state, path: name.toString(), inode, uid: uid ?? 0, queue, elsewhere: false }];
}

/** The sockets of a path; where the kernel says that somebody has its file open and our namespace has none, those of other namespaces. Null when none can be seen. */
function readUnixAt(source: Source, path: string, file: UnixFile | null, gaps: Gap[]): Socket[] | null {
  const rows = readUnix(source, gaps);
  const own = socketsAt(file?.cutTo ?? path, rows ?? []);
  if (file?.inUse !== true || own.some(({ state }) => state !== 'ESTABLISHED')) return rows === null ? null : own;
  const others = socketsElsewhere(source.proc, file.cutTo ?? path);
  if (others.length === 0)
    gaps.push({
      what: 'Which process has the socket open cannot be seen: its socket is in another network namespace',
      why: 'ENOENT',
      hint: 'Run it as root, on the host, outside of the container',
    });
  return [...own, ...others];
}

/** Null when none can be seen. */
function readUnix(source: Source, gaps: Gap[]): NamedUnixSocket[] | null {
  try {
    const { rows, interrupted } = source.converse(readUnixSockets);
    if (interrupted)
      gaps.push({
        what: 'The list of Unix sockets changed each time it was read',
        why: 'NLM_F_DUMP_INTR',
        hint: 'Run it again when the machine is less busy',
      });
    return rows;
  } catch (error) {
    if (!isNativeError(error) && !isUnsupportedError(error) && !(error instanceof NetlinkError)) throw error;
    const rows = attempt(() => readProcNetUnix(source.proc));
    gaps.push({
      what: rows === null ? 'No Unix socket can be seen' : 'Unix sockets can only be told apart by their names',
      why: error instanceof NetlinkError ? error.message : error.code,
      hint: 'The kernel module that shows Unix sockets (unix_diag) or koffi is missing here',
    });
    return rows;
  }
}

/** The sockets with what could be read of their hidden flags. */
function withFlags(sockets: readonly Socket[], holders: ReadonlyMap<number, readonly Holder[]>): Socket[] {
  if (!hasLibc()) return [...sockets];
  const flags = openFlagReader();
  let left = mostFlags;
  try {
    return sockets.map((socket): Socket => {
      if (socket.protocol === 'unix' || socket.linux?.mini || socket.inode === 0) return socket;
      for (const holder of holders.get(socket.inode) ?? []) {
        const [descriptor] = holder.descriptors;
        if (descriptor === undefined || left-- <= 0) continue;
        const read: HiddenFlags | null = flags.read(socket, { holder, descriptor });
        if (read !== null) return { ...socket, ...read } satisfies InetSocket;
      }
      return socket;
    });
  } finally {
    flags.close();
  }
}

function readProcess(describer: Describer, identity: ProcessIdentity): Holder | null {
  const description = sameProcess(describer, identity);
  return description === null ? null : { ...description, descriptors: [], accepts: null };
}
