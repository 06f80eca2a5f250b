/**
 * What stands at the path of a Unix socket on macOS.
 */
import { basename, isAbsolute, resolve } from 'node:path';
import type { UnixFile, UnixSocket } from '../../model/facts.ts';
import { describePath } from '../unix-path.ts';

/** sun_path (sys/un.h) without its NUL byte. */
const maxPathBytes = 103;

/** @param sockets Every Unix socket with a name; null when they cannot be listed. Null for a name without a file, which macOS does not have. */
export function readUnixFile(path: string, sockets: readonly UnixSocket[] | null): UnixFile | null {
  if (path.startsWith('\0')) return null;
  return describePath(path, {
    maxPathBytes,
    // Which file systems of macOS hold no sockets was not tried.
    fileSystemOf: () => [null, true],
    inUse: (at) => (sockets === null ? null : isInUse(at, sockets)),
  });
}

/** Null where a socket was bound to a relative path that ends alike: from which directory, nobody knows. */
function isInUse(path: string, sockets: readonly UnixSocket[]): boolean | null {
  const whole = resolve(path);
  const open = sockets.filter(({ state }) => state !== 'ESTABLISHED');
  if (open.some((socket) => socket.path === path || resolve(socket.path) === whole)) return true;
  return open.some((socket) => !isAbsolute(socket.path) && basename(socket.path) === basename(path)) ? null : false;
}

/** The sockets that carry the path. */
export function socketsAt(path: string, sockets: readonly UnixSocket[]): UnixSocket[] {
  const whole = resolve(path);
  return sockets.filter((socket) => socket.path === path || (isAbsolute(socket.path) && socket.path === whole));
}
