/**
 * The program of an actor: it makes the system calls that it is told over IPC, and answers with what they returned.
 * Run as `node actor-program.js ROLE` with a leash at descriptor 3 and IPC at 4.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { InetEndpoint, UnixEndpoint } from '../model/endpoint.ts';
import { isNativeError, NativeError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import { check, libc } from '../os/linux/calls/libc.ts';
import { getNative, setNative } from '../os/linux/calls/socket.ts';
import { attachFilter } from '../os/linux/netlink/filter.ts';
import type { ActorOption, OpenOptions } from './actor.ts';
import { leashDescriptor } from './leash.ts';
import { polled } from './polled.ts';

// include/uapi/asm-generic/socket.h, include/uapi/linux/in6.h
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_LINGER = 13;
const SO_REUSEPORT = 15;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
// include/linux/socket.h, include/linux/net.h
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_SEQPACKET = 5;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
// include/uapi/asm-generic/poll.h, errno.h
const POLLIN = 1;
const POLLOUT = 4;
const EAGAIN = 11;
const ETIMEDOUT = 110;

const patienceMs = 5_000;
const { sockets } = os();

/** What an actor can be told. The names are those of `ActorSocket` and `Actor`. */
export const calls = {
  open({ kind = 'tcp', family = 4, reuseAddress, reusePort, v6Only, device, type = 'stream' }: OpenOptions): number {
    if (kind === 'unix' && type !== 'stream')
      return check(
        'socket',
        libc().socket(AF_UNIX, (type === 'datagram' ? SOCK_DGRAM : SOCK_SEQPACKET) | SOCK_CLOEXEC, 0),
      );
    const fd = sockets.open(kind, family);
    if (kind === 'unix') return fd;
    sockets.setBindOptions(fd, family, {
      reuseAddress: reuseAddress ?? false,
      reusePort: reusePort ?? false,
      v6Only: v6Only ?? false,
      device: device ?? null,
    });
    return fd;
  },
  bind(fd: number, endpoint: InetEndpoint | UnixEndpoint): void {
    sockets.bind(fd, endpoint);
  },
  listen(fd: number, backlog: number): void {
    sockets.listen(fd, backlog);
  },
  async serve(fd: number): Promise<void> {
    const server = createServer((socket) => socket.end('served\n'));
    await once(server.listen({ fd }), 'listening');
    await polled();
  },
  connect(fd: number, endpoint: InetEndpoint | UnixEndpoint): void {
    if (sockets.connect(fd, endpoint) === 'done') return;
    waitFor('connect', fd, POLLOUT);
    const errno = getNative(fd, { level: SOL_SOCKET, name: SO_ERROR }, 4).readInt32LE(0);
    if (errno !== 0) throw new NativeError('connect', errno);
  },
  accept(fd: number): number {
    waitFor('accept4', fd, POLLIN);
    const accepted = sockets.accept(fd);
    if (accepted === null) throw new NativeError('accept4', EAGAIN);
    return accepted;
  },
  shutdown(fd: number, how: 'read' | 'write' | 'both'): void {
    check('shutdown', libc().shutdown(fd, ['read', 'write', 'both'].indexOf(how)));
  },
  setOption(fd: number, name: ActorOption, value: boolean): void {
    const [level, number] = {
      reuseAddress: [SOL_SOCKET, SO_REUSEADDR],
      reusePort: [SOL_SOCKET, SO_REUSEPORT],
      v6Only: [IPPROTO_IPV6, IPV6_V6ONLY],
      // struct linger {1, 0}: close sends a reset and leaves nothing behind (socket(7)).
      resetOnClose: [SOL_SOCKET, SO_LINGER],
    }[name] as [number, number];
    const words = name === 'resetOnClose' ? [value ? 1 : 0, 0] : [value ? 1 : 0];
    setNative(fd, { level, name: number }, Buffer.from(new Int32Array(words).buffer));
  },
  setRaw(fd: number, level: number, name: number, hex: string): void {
    setNative(fd, { level, name }, Buffer.from(hex, 'hex'));
  },
  dropPackets(fd: number): void {
    // ret 0
    const errno = attachFilter(fd, [[0x06, 0, 0, 0]]);
    if (errno !== 0) throw new NativeError('setsockopt', errno);
  },
  beginConnect(fd: number, endpoint: InetEndpoint): void {
    sockets.connect(fd, endpoint);
  },
  beginRead(fd: number): void {
    sockets.setBlocking(fd, true);
    // After the answer has been sent.
    setTimeout(() => libc().recv(fd, Buffer.alloc(1), 1, 0), 20);
  },
  address(fd: number): InetEndpoint | UnixEndpoint {
    return sockets.address(fd);
  },
  send(fd: number, limit: number): number {
    const chunk = Buffer.alloc(65_536);
    let sent = 0;
    while (sent < limit) {
      const count = libc().sendto(
        fd,
        chunk,
        Math.min(chunk.length, limit - sent),
        MSG_DONTWAIT | MSG_NOSIGNAL,
        null,
        0,
      );
      if (count < 0) {
        const errno = libc().errno();
        if (errno === EAGAIN) break;
        throw new NativeError('sendto', errno);
      }
      sent += count;
    }
    return sent;
  },
  close(fd: number): void {
    sockets.close(fd);
  },
  spawn(role: string, inherit: readonly number[], serving: boolean): Promise<number> {
    const program = fileURLToPath(new URL('../stage/inheritor.js', import.meta.url));
    const child = spawn(process.execPath, [program, role, ...(serving ? ['serve'] : [])], {
      stdio: ['ignore', 'pipe', 'inherit', leashDescriptor, ...inherit],
    });
    return firstLine(child);
  },
};

/** A message to the actor. */
export interface ActorMessage {
  readonly id: number;
  readonly call: keyof typeof calls;
  readonly args: readonly unknown[];
}

/** Its answer: the value, or the failure of the system call, or the text of another failure. */
export interface ActorAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly failed?: { readonly syscall: string; readonly errno: number } | { readonly message: string };
}

process.on('message', async ({ id, call, args }: ActorMessage) => {
  process.send?.(await answer(id, call, args));
});
process.on('disconnect', () => process.exit(0));
process.send?.({ id: 0 } satisfies ActorAnswer);

async function answer(id: number, call: keyof typeof calls, args: readonly unknown[]): Promise<ActorAnswer> {
  try {
    return { id, value: await (calls[call] as (...args: readonly unknown[]) => unknown)(...args) };
  } catch (error) {
    if (isNativeError(error)) return { id, failed: { syscall: error.syscall, errno: -error.errno } };
    return { id, failed: { message: error instanceof Error ? error.message : String(error) } };
  }
}

/** struct pollfd: int fd, short events, short revents. Blocking is right here: an actor does one thing at a time. */
function waitFor(syscall: string, fd: number, event: number): void {
  const pollfd = Buffer.alloc(8);
  new Int32Array(pollfd.buffer, pollfd.byteOffset, 1)[0] = fd;
  new Int16Array(pollfd.buffer, pollfd.byteOffset + 4, 1)[0] = event;
  if (check('poll', libc().poll(pollfd, 1, patienceMs)) === 0) throw new NativeError(syscall, ETIMEDOUT);
}

function firstLine(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error('the child left before it was ready')));
    child.stdout?.once('data', () => {
      // The child outlives this process; nothing of it may keep this one waiting.
      child.stdout?.destroy();
      child.unref();
      resolve(child.pid ?? 0);
    });
  });
}
