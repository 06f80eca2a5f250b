/**
 * Taking away what nobody owns: connections that ended, and the file of a Unix socket that nobody listens on.
 */
import { linkSync, lstatSync, renameSync, type Stats, unlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Request } from '../model/endpoint.ts';
import type { InetSocket } from '../model/facts.ts';
import type { ActResult } from '../model/step.ts';
import { isNativeError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';

/** Destroys exactly these sockets, each by the kernel's own name for it. */
export function destroySockets(os: Os, sockets: readonly InetSocket[]): ActResult {
  for (const socket of sockets) {
    const result = os.sockets.destroy(socket);
    if (typeof result !== 'string') return { outcome: 'failed', why: reason(result.why) };
  }
  return { outcome: 'done', why: null };
}

function reason(code: string): string {
  if (code === 'EPERM') return 'EPERM: that needs CAP_NET_ADMIN, run this as root';
  if (code === 'EOPNOTSUPP') return 'EOPNOTSUPP: this kernel was built without CONFIG_INET_DIAG_DESTROY';
  return code;
}

/** What connect(2) says about a path: `dead` proves that nobody listens. */
type Life = { readonly kind: 'dead' } | { readonly kind: 'alive' } | { readonly kind: 'unknown'; readonly why: string };

/**
 * Removes the file of a Unix socket, if nobody listens on it.
 *
 * The file is moved aside first and asked again there: a server that came in the meantime gets it back, instead of losing it between
 * a look and a removal.
 */
export function removeSocketFile(os: Os, request: Request, path: string, inode: number | null): ActResult {
  const before = statOf(path);
  if (before === null) return { outcome: 'skipped', why: 'it is gone already' };
  if (!before.isSocket()) return { outcome: 'refused', why: 'it is not a socket' };
  if (inode !== null && before.ino !== inode) return { outcome: 'refused', why: 'it is another file by now' };
  const first = lifeOf(os, path);
  if (first.kind !== 'dead') return alive(first);
  // Short, because the address of a socket holds only 107 bytes.
  const aside = join(dirname(path), `.${process.getBuiltinModule('node:crypto').randomBytes(6).toString('hex')}`);
  try {
    renameSync(path, aside);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { outcome: 'skipped', why: 'it is gone already' };
    return { outcome: 'failed', why: `${code ?? error}: the file cannot be removed` };
  }
  const moved = statOf(aside);
  const same = moved?.ino === before.ino && !isHeld(os, request);
  const second: Life = same ? lifeOf(os, aside) : { kind: 'alive' };
  if (second.kind === 'dead') {
    unlinkSync(aside);
    return { outcome: 'done', why: null };
  }
  restore(aside, path);
  return alive(second);
}

function alive(life: Life): ActResult {
  if (life.kind === 'unknown')
    return { outcome: 'refused', why: `${life.why}: it cannot be told whether somebody listens` };
  return { outcome: 'refused', why: 'somebody listens on it by now' };
}

/** A link, unlike a rename, never replaces what came in the meantime. */
function restore(aside: string, path: string): void {
  try {
    linkSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  unlinkSync(aside);
}

/** Between bind and listen a server refuses connections too, but its socket is there. */
function isHeld(os: Os, request: Request): boolean {
  return os.readFacts(request, { holders: 'none' }).sockets.some((socket) => socket.state !== 'ESTABLISHED');
}

function statOf(path: string): Stats | null {
  return lstatSync(path, { throwIfNoEntry: false }) ?? null;
}

function lifeOf(os: Os, path: string): Life {
  const fd = os.sockets.open('unix', 4);
  try {
    os.sockets.connect(fd, { protocol: 'unix', path });
    return { kind: 'alive' };
  } catch (error) {
    if (!isNativeError(error)) throw error;
    if (error.code === 'ECONNREFUSED') return { kind: 'dead' };
    // EAGAIN: its queue is full. EPROTOTYPE: a datagram socket is bound to it.
    if (error.code === 'EAGAIN' || error.code === 'EPROTOTYPE') return { kind: 'alive' };
    return { kind: 'unknown', why: error.code };
  } finally {
    os.sockets.close(fd);
  }
}
