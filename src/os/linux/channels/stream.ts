/**
 * Connections by name: Unix sockets in the directory of this user's channels.
 */
import {
  chmodSync,
  closeSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import type { Channel, Connected, Listener, ListenOptions, Peer } from '../../channels.ts';
import { isNativeError } from '../../errors.ts';
import { setNative, sockets } from '../calls/socket.ts';
import { directories, effectiveUid, findPlace, privatePart } from './directory.ts';
import { tryLock } from './lock.ts';

/** Opens a file as a reference to it: neither reading nor writing (open(2)). The same number on every architecture of Node. */
const O_PATH = 0o10000000;
/** include/uapi/asm-generic/socket.h; Linux 6.16. */
const SO_PASSRIGHTS = { level: 1, name: 83 };
const backlog = 128;
/** sizeof(sun_path) in struct sockaddr_un (unix(7)). */
const longestName = 108;
/** Dead sockets looked at when a name is published; the next one goes on. */
const mostSwept = 512;
/** More holds than a user has; another user's directory must not keep root busy for ever. */
const mostListed = 256;

export async function listen(name: string, options: ListenOptions): Promise<Listener> {
  const { directory } = findPlace();
  // Abstract only where no directory can be written: there is nothing else that a name could be, and every peer is asked for its user all the same.
  const address = directory === null ? `@rebind/${effectiveUid()}/${name}` : join(privatePart(directory), name);
  const reference = { current: null as Listener['reference'] };
  const servers: Server[] = [];
  const closeAll = (): void => {
    for (const server of servers) server.close();
    if (reference.current !== null) closeSync(reference.current.fd);
  };
  try {
    servers.push(await serve(open(address, options.anyUser === true), options));
    if (directory !== null && options.anyUser === true) reference.current = refer(address);
    // Node 20 fills an abstract name up with NUL bytes, later ones do not: two names for one listener, so that all find it.
    if (directory === null) servers.push(await serve(open(address.padEnd(longestName, '\0'), true), options));
  } catch (error) {
    closeAll();
    throw error;
  }
  const names = [address];
  const identity = identityOf(address);
  return {
    address,
    reference: reference.current,
    publish(published, replace = false) {
      // An abstract socket has the one name it was bound to.
      if (directory === null) return 'done';
      const target = join(privatePart(directory), published);
      const outcome = inTurn(() => {
        for (const part of new Set([directory, privatePart(directory)])) sweep(part);
        return link(address, target, replace);
      });
      if (outcome === 'done') names.push(target);
      return outcome;
    },
    close() {
      closeAll();
      for (const path of names) remove(path, identity);
    },
  };
}

export async function connect(address: string): Promise<Connected> {
  const fd = sockets.open('unix', 4);
  try {
    sockets.connect(fd, { protocol: 'unix', path: pathOf(address) });
  } catch (error) {
    sockets.close(fd);
    if (!isNativeError(error)) throw error;
    // EAGAIN: its queue is full (unix(7)).
    if (error.code === 'EAGAIN') return 'busy';
    return error.code === 'EACCES' || error.code === 'EPERM' ? 'denied' : 'nobody';
  }
  const { Socket } = process.getBuiltinModule('node:net');
  return { peer: peerOf(fd), socket: new Socket({ fd }) };
}

export function find(name: string, uid: number): string[] {
  const abstract = `@rebind/${uid}/${name}`;
  const paths = partsOf(uid).map((part) => join(part, name));
  return [...paths.filter((path) => identityOf(path) !== null), abstract];
}

export function list(prefix: string, uid: number): string[] {
  const paths = partsOf(uid).flatMap((part) => {
    try {
      return (
        readdirSync(part)
          .filter((name) => name.startsWith(prefix))
          .map((name) => join(part, name))
          // In a directory of another user, who may have put a link to somebody else's socket there.
          .filter((path) => identityOf(path) !== null)
          .slice(0, mostListed)
      );
    } catch {
      // Removed meanwhile, or another user's.
      return [];
    }
  });
  return [...paths, ...abstractNames(`@rebind/${uid}/${prefix}`)];
}

/** Those that had to be abstract (proc_net_unix(5)): the seventh field, and everything after it. */
function abstractNames(prefix: string): string[] {
  try {
    const names = readFileSync('/proc/net/unix', 'utf8').split('\n');
    return [...new Set(names.map((row) => row.slice(row.indexOf(' @') + 1)).filter((name) => name.startsWith(prefix)))];
  } catch {
    // Without /proc nothing can be listed.
    return [];
  }
}

export function privatePath(name: string): string | null {
  const { directory } = findPlace();
  return directory === null ? null : join(privatePart(directory), name);
}

/** As node:net wants it. */
export function pathOf(address: string): string {
  return address.startsWith('@') ? `\0${address.slice(1)}` : address;
}

/**
 * Nobody may send descriptors here. Closing one can block for as long as its sender likes (SO_LINGER), and so can throwing it away unread.
 * Older kernels do not know the option: there, a directory of ours is what keeps other users away.
 */
function refuseDescriptors(fd: number): void {
  try {
    setNative(fd, SO_PASSRIGHTS, Buffer.alloc(4));
  } catch (error) {
    if (!isNativeError(error)) throw error;
  }
}

function open(address: string, anyUser: boolean): number {
  const fd = sockets.open('unix', 4);
  try {
    refuseDescriptors(fd);
    const start = (): void => {
      sockets.bind(fd, { protocol: 'unix', path: pathOf(address) });
      // Connecting takes write permission (unix(7)). What keeps others away is the directory; who has the reference passes by it.
      if (!address.startsWith('@')) chmodSync(address, anyUser ? 0o666 : 0o600);
      sockets.listen(fd, backlog);
    };
    // A socket that is bound and does not listen yet refuses as a dead one does, and another hold would remove its file.
    if (address.startsWith('@')) start();
    else inTurn(start);
    return fd;
  } catch (error) {
    sockets.close(fd);
    throw error;
  }
}

function refer(path: string): NonNullable<Listener['reference']> {
  const fd = openSync(path, O_PATH);
  const stat = fstatSync(fd);
  return { fd, identity: `${stat.dev}:${stat.ino}` };
}

function serve(fd: number, options: ListenOptions): Promise<Server> {
  const net = process.getBuiltinModule('node:net');
  // Paused: the peer is known before a byte is read.
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: false }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.unref();
    try {
      const channel = admitted(socket, options);
      if (channel === null) socket.destroy();
      else options.onChannel(channel);
    } catch {
      // Without a descriptor to spare, the peer cannot be judged (EMFILE): it is not heard, keeps nothing open, and may connect again.
      socket.destroy();
    }
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      sockets.close(fd);
      reject(error);
    });
    server.listen({ fd, backlog }, () => {
      server.removeAllListeners('error');
      // EMFILE, for one: who waits in the queue is accepted later.
      server.on('error', () => {});
      server.unref();
      resolve(server);
    });
  });
}

function admitted(socket: Socket, options: ListenOptions): Channel | null {
  const fd = descriptorOf(socket);
  if (fd === null) return null;
  try {
    const peer = peerOf(fd);
    return options.admit(peer) ? { peer, socket } : null;
  } catch {
    // It is gone already, or /proc could not be read: who cannot be recognised is not heard.
    return null;
  }
}

function peerOf(fd: number): Peer {
  const { pid, uid } = sockets.peer(fd);
  return { pid, uid };
}

function descriptorOf(socket: Socket): number | null {
  const { _handle: handle } = socket as unknown as { readonly _handle: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : null;
}

function partsOf(uid: number): string[] {
  return directories(uid).map((directory) => (uid === 0 ? join(directory, 'own') : directory));
}

/** A hard link, put in place by rename(2): there is no moment at which the name leads nowhere. */
function link(address: string, target: string, replace: boolean): 'done' | 'alive' {
  if (!replace && isAlive(target)) return 'alive';
  const fresh = `${address}~`;
  linkSync(address, fresh);
  // rename(2) does nothing when both are links to one file already.
  if (identityOf(target) === identityOf(fresh)) unlinkSync(fresh);
  else renameSync(fresh, target);
  return 'done';
}

/** Removes what a killed process left: the kernel closes a socket, and keeps its file. */
function sweep(directory: string): void {
  for (const name of readdirSync(directory).slice(0, mostSwept)) {
    const path = join(directory, name);
    if (!name.startsWith('lock-') && isDead(path)) remove(path, identityOf(path));
  }
}

function isAlive(path: string): boolean {
  return identityOf(path) !== null && !isDead(path);
}

/** ECONNREFUSED means that nobody has the socket open any more (unix(7)). It is a connection that says nothing, and ends at once. */
function isDead(path: string): boolean {
  const fd = sockets.open('unix', 4);
  try {
    sockets.connect(fd, { protocol: 'unix', path });
    return false;
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return error.code === 'ECONNREFUSED';
  } finally {
    sockets.close(fd);
  }
}

/** `dev:inode` of a socket's file; null when there is none. */
function identityOf(path: string): string | null {
  try {
    const stat = lstatSync(path);
    return stat.isSocket() ? `${stat.dev}:${stat.ino}` : null;
  } catch {
    // Not there.
    return null;
  }
}

function remove(path: string, identity: string | null): void {
  try {
    if (identity !== null && identityOf(path) === identity) unlinkSync(path);
  } catch {
    // Removed by somebody else, or on a file system that is read-only now: it leads nowhere either way.
  }
}

/** Between the look at a name and its change no other process of ours may change it. */
function inTurn<Result>(work: () => Result): Result {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  let lock = tryLock('names');
  // A stopped process may have it: then without.
  for (let tries = 0; lock === null && tries < 50; tries++) {
    Atomics.wait(pause, 0, 0, 2);
    lock = tryLock('names');
  }
  try {
    return work();
  } finally {
    lock?.release();
  }
}
