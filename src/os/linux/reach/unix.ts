/**
 * Everything about the path of a Unix socket: the file, the sockets that carry its name, and what a client meets (unix(7)). Files belong to a
 * mount namespace and the tables of sockets to a network namespace, so one may be here without the other.
 */

import { type BigIntStats, lstatSync, statSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { Gap } from '../../../model/facts.ts';
import type { PathSocket, Reply, UnixEvidence } from '../../../model/reach/evidence.ts';
import { isNativeError } from '../../errors.ts';
import { uptimeMs } from '../../uptime.ts';
import { sockets } from '../calls/socket.ts';
import { type NamedUnixSocket, readUnixSockets } from '../netlink/unix-diag.ts';
import { findHolders } from '../proc/holders.ts';
import type { Proc } from '../proc/proc.ts';
import { socketsElsewhere } from '../proc/unix-elsewhere.ts';
import { readUnixFile } from '../proc/unix-file.ts';
import { kernelDevice } from '../proc/unix-sockets.ts';
import { readReply, sendNow } from './connection.ts';
import { ask } from './port-sockets.ts';

export interface UnixOptions {
  readonly connect: boolean;
  readonly request: Uint8Array | null;
  readonly timeoutMs: number;
}

type Seen = Omit<UnixEvidence, 'conditions' | 'gaps'>;

/** How long a server that speaks first, or closes at once, may take where nothing is sent. */
const firstMs = 50;

export async function seeUnixPath(proc: Proc, path: string, options: UnixOptions, gaps: Gap[]): Promise<Seen> {
  const file = readUnixFile(path);
  const stat = statOf(path);
  const rows = ask(gaps, 'Which Unix sockets exist cannot be seen', (kernel) => readUnixSockets(kernel).rows);
  const own = rows === null ? null : socketsOf(path, stat, rows);
  // The kernel says that somebody has it open, and our network namespace has nobody.
  const elsewhere = file?.inUse === true && own?.every(({ state }) => state === 'ESTABLISHED') === true;
  const others = elsewhere ? socketsElsewhere(proc, path).map((socket): PathSocket => ({ ...socket, file: null })) : [];
  return {
    protocol: 'unix',
    path,
    file,
    stat,
    sockets: own === null ? null : [...own, ...others],
    otherRoot: own === null ? null : rootWith(proc, path, own, stat),
    ...(await tryConnect(path, options)),
  };
}

/** Numbers as the kernel's table of sockets has them: the lower half of the inode number, major << 20 | minor. */
function statOf(path: string): Seen['stat'] {
  const none = { errno: null, inode: null, device: null, mode: null, danglingLink: false, stuckAt: null };
  if (path.startsWith('\0')) return none;
  try {
    const { ino, dev, mode } = statSync(path, { bigint: true });
    return { ...none, inode: Number(ino & 0xffff_ffffn), device: kernelDevice(dev), mode: Number(mode) & 0o7777 };
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'EIO';
    return { ...none, errno, danglingLink: errno === 'ENOENT' && isLink(path), stuckAt: stuckAt(path) };
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    // Nothing stands there at all.
    return false;
  }
}

/** The first part of the way that is missing, is no directory, or may not be entered; null when the way is free. */
function stuckAt(path: string): string | null {
  let stuck: string | null = null;
  for (let at = dirname(resolve(path)); ; at = dirname(at)) {
    let stat: BigIntStats | null = null;
    try {
      // A directory that may not be entered shows itself by what is below it.
      stat = statSync(`${at}/.`, { bigint: true });
    } catch {
      stuck = at;
    }
    if (stat !== null || at === dirname(at)) return stuck;
  }
}

/** Those that are bound to the file that stands there, and those that carry the name without it: replaced, removed, or of another mount namespace. */
function socketsOf(path: string, stat: Seen['stat'], rows: readonly NamedUnixSocket[]): PathSocket[] {
  const names = new Set([path, ...(path.startsWith('\0') ? [] : [resolve(path)])]);
  return rows
    .filter(({ name, file }) => {
      const same = file !== null && file.inode === stat.inode && file.device === stat.device;
      return same || names.has(name.toString('utf8'));
    })
    .map(({ type, state, inode, uid, queue, file }) => ({
      protocol: 'unix',
      type,
      state,
      path,
      inode,
      uid: uid ?? 0,
      queue,
      elsewhere: false,
      file,
    }));
}

/** A process whose root has, at the same path, the very file that a listener of this name was bound to. Only root may look there. */
function rootWith(proc: Proc, path: string, own: readonly PathSocket[], stat: Seen['stat']): UnixEvidence['otherRoot'] {
  const strangers = own.filter(
    ({ state, file }) =>
      state === 'LISTEN' && file !== null && (file.inode !== stat.inode || file.device !== stat.device),
  );
  if (strangers.length === 0 || !isAbsolute(path)) return null;
  const wanted = strangers.map(({ inode, uid }) => ({ inode, uid, cgroupId: null, needed: true }));
  const { found } = findHolders(proc, wanted, 'likely');
  for (const { inode } of strangers)
    for (const pid of (found.get(inode) ?? new Map<number, unknown>()).keys()) {
      // Not compared with the number in the table of sockets: an overlay has others in stat(2).
      const there = `${proc.root}/${pid}/root${path}`;
      if (statOf(there).errno === null && !isSame(there, path)) return { pid, path: there };
    }
  return null;
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [statOf(one), statOf(other)];
  return a.inode === b.inode && a.device === b.device;
}

/** A Unix stream socket is connected, or refused, at once. */
async function tryConnect(
  path: string,
  { connect, request, timeoutMs }: UnixOptions,
): Promise<Pick<Seen, 'attempt' | 'first' | 'request'>> {
  if (!connect) return { attempt: null, first: null, request: null };
  const began = uptimeMs();
  const failed = (errno: string): Pick<Seen, 'attempt' | 'first' | 'request'> => ({
    attempt: { errno, elapsedMs: uptimeMs() - began, peer: null },
    first: null,
    request: null,
  });
  let fd: number;
  try {
    fd = sockets.open('unix', 4);
  } catch (error) {
    if (isNativeError(error)) return failed(error.code);
    throw error;
  }
  try {
    sockets.connect(fd, { protocol: 'unix', path });
    const elapsedMs = uptimeMs() - began;
    const { pid, uid } = sockets.peer(fd);
    let first: Reply | null = null;
    let answer: Reply | null = null;
    if (request === null) first = await readReply(fd, Math.min(firstMs, timeoutMs));
    else if (sendNow(fd, request)) answer = await readReply(fd, timeoutMs);
    return { attempt: { errno: null, elapsedMs, peer: { pid, uid } }, first, request: answer };
  } catch (error) {
    if (isNativeError(error)) return failed(error.code);
    throw error;
  } finally {
    sockets.close(fd);
  }
}
