/**
 * What stands at the path of a Unix socket, and whether this user could make a socket there: what every system with such paths tells alike.
 */
import { accessSync, type BigIntStats, constants, lstatSync, readdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { UnixFile } from '../model/facts.ts';

/** What differs between systems. */
export interface PathRules {
  /** The longest path that fits into an address, without its NUL byte. */
  readonly maxPathBytes: number;
  /** The type of the file system of a directory, and whether its directories hold sockets; null where that cannot be told. */
  fileSystemOf(directory: string): readonly [type: string | null, holdsSockets: boolean | null];
  /** Whether a process has the socket of this file open; null where that cannot be told. */
  inUse(path: string): boolean | null;
}

/** From this Node on libuv refuses a longer path with EINVAL; before, it cuts the path off without a word (uv_pipe_bind2). */
const firstStrictNode = 24;

export function describePath(asked: string, { maxPathBytes, fileSystemOf, inUse }: PathRules): UnixFile {
  const tooLong = Buffer.byteLength(asked) > maxPathBytes;
  const cuts = tooLong && Number.parseInt(process.versions.node, 10) < firstStrictNode;
  const path = cuts ? Buffer.from(asked).subarray(0, maxPathBytes).toString('utf8') : asked;
  const stat = lstat(path);
  const [fileSystem, holdsSockets] = fileSystemOf(dirname(path));
  const kind = kindOf(stat);
  const errno = tooLong && !cuts ? 'EINVAL' : (whyNotCreatable(path) ?? (holdsSockets === false ? 'EPERM' : null));
  return {
    kind,
    inode: stat === null ? null : Number(stat.ino),
    uid: stat === null ? null : Number(stat.uid),
    inUse: kind === 'socket' ? inUse(path) : null,
    empty: kind === 'directory' ? isEmpty(path) : stat?.isFile() === true ? stat.size === 0n : null,
    creatable: errno === null,
    errno,
    fileSystem,
    holdsSockets,
    cutTo: cuts ? path : null,
  };
}

function kindOf(stat: BigIntStats | null): UnixFile['kind'] {
  if (stat === null) return 'none';
  if (stat.isSocket()) return 'socket';
  return stat.isDirectory() ? 'directory' : 'other';
}

function isEmpty(path: string): boolean | null {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return null;
  }
}

function whyNotCreatable(path: string): string | null {
  try {
    const directory = dirname(path);
    if (!statSync(directory).isDirectory()) return 'ENOTDIR';
    accessSync(directory, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EACCES';
  }
}

function lstat(path: string): BigIntStats | null {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    // Not there, or behind a directory that we may not enter: `errno` of the file says which.
    return null;
  }
}
