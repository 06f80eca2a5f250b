/**
 * The Unix sockets that carry a path.
 */
import { type BigIntStats, lstatSync, realpathSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { UnixSocket } from '../../../model/facts.ts';
import { type NamedUnixSocket, trimPath } from '../netlink/unix-diag.ts';
import type { Proc } from './proc.ts';

const tableLimit = 67_108_864;

/**
 * Sockets that are bound to `path`. A file is compared by its identity, because a name says nothing of the directory it was relative to
 * and a file may have been replaced since; only where the identity is unknown the name decides.
 */
export function socketsAt(path: string, all: readonly NamedUnixSocket[]): UnixSocket[] {
  const matches = path.startsWith('\0') ? byName(Buffer.from(path), all) : byFile(path, all);
  return matches.map(({ type, state, inode, uid, queue }) => ({
    protocol: 'unix',
    type,
    state,
    path,
    inode,
    uid: uid ?? 0,
    queue,
    elsewhere: false,
  }));
}

function byName(name: Buffer, all: readonly NamedUnixSocket[]): NamedUnixSocket[] {
  return all.filter((socket) => socket.name.equals(name));
}

function byFile(path: string, all: readonly NamedUnixSocket[]): NamedUnixSocket[] {
  const stat = lstat(path);
  const known = stat === null ? [] : all.filter(({ file }) => file !== null && sameFile(file, stat));
  if (known.length > 0) return known;
  const names = [path, resolve(path), realPath(path)].map((name) => Buffer.from(name));
  return all.filter(
    ({ name, file }) =>
      // A socket on the same device under another inode number had its file replaced. On an overlay the devices differ.
      (file === null || stat === null || file.device !== kernelDevice(stat.dev)) &&
      name[0] === 0x2f &&
      names.some((wanted) => wanted.equals(name)),
  );
}

function sameFile(file: { inode: number; device: number }, stat: { ino: bigint; dev: bigint }): boolean {
  // The kernel tells the lower half of the inode number.
  return file.inode === Number(stat.ino & 0xffff_ffffn) && file.device === kernelDevice(stat.dev);
}

/** stat(2) spreads major and minor over 64 bits (gnu_dev_makedev); the kernel's own number is major << 20 | minor. */
export function kernelDevice(dev: bigint): number {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xffff_f000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n);
  return Number(((major << 20n) | minor) & 0xffff_ffffn);
}

/** The directory may be reached by a link; the socket itself must not be followed. */
function realPath(path: string): string {
  try {
    return resolve(realpathSync(dirname(path)), path.slice(path.lastIndexOf('/') + 1));
  } catch {
    // There is no such directory, so no socket can be there by this name.
    return resolve(path);
  }
}

function lstat(path: string): BigIntStats | null {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    // Not there, or behind a directory that we may not enter.
    return null;
  }
}

const line = /^[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2})\s+(\d+)(?: (.*))?$/i;
/** __SO_ACCEPTCON in the flags: it listens. */
const listening = 0x0001_0000;
const types: Readonly<Record<string, UnixSocket['type']>> = {
  '0001': 'stream',
  '0002': 'datagram',
  '0005': 'seqpacket',
};

/**
 * The same from /proc/net/unix, without the file's identity and the user.
 *
 * @throws {ProcError}
 */
export function readProcNetUnix(proc: Proc): NamedUnixSocket[] {
  return parseUnixTable(proc.read('net/unix', tableLimit));
}

/** Lines that do not read as the manual says are left out: a path may hold a line break. */
export function parseUnixTable(bytes: Buffer): NamedUnixSocket[] {
  const rows: NamedUnixSocket[] = [];
  // latin1 keeps every byte of a path; the table is not text in any encoding.
  for (const text of bytes.toString('latin1').split('\n')) {
    const [, flags = '', typeHex = '', state = '', inode, path = ''] = line.exec(text) ?? [];
    const type = types[typeHex];
    if (type === undefined || path === '') continue;
    const name = Buffer.from(path, 'latin1');
    // The kernel prints the NUL bytes of an abstract name as '@'.
    if (path.startsWith('@')) name[0] = 0;
    const accepts = (Number.parseInt(flags, 16) & listening) !== 0;
    rows.push({
      type,
      state: accepts ? 'LISTEN' : state === '03' ? 'ESTABLISHED' : 'BOUND',
      name: trimPath(name),
      file: null,
      inode: Number(inode),
      uid: null,
      queue: null,
    });
  }
  return rows;
}
