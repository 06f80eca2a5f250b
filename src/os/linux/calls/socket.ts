/**
 * Raw sockets: made, bound and asked by descriptor, with what Node does not offer between socket() and bind().
 */
import { fstatSync } from 'node:fs';
import type { BindOptions, InetEndpoint, UnixEndpoint } from '../../../model/endpoint.ts';
import { NativeError } from '../../errors.ts';
import type { Sockets } from '../../sockets.ts';
import { destroy } from '../netlink/destroy.ts';
import { optionsTable } from '../options.ts';
import { listenerQueue, tcpInfo } from '../tcp-info.ts';
import { receiveDescriptors, sendDescriptors } from './descriptors.ts';
import { check, libc } from './libc.ts';
import { AF_INET, AF_INET6, AF_UNIX, decodeSockaddr, encodeSockaddr, sockaddrSize } from './sockaddr.ts';
import { holdOff, letIn, markShared } from './syn-filter.ts';

/** One option of a socket, by its level and number. */
export interface NativeOption {
  readonly level: number;
  readonly name: number;
}

// include/linux/net.h and asm-generic/fcntl.h
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const F_GETFD = 1;
const F_SETFD = 2;
const F_GETFL = 3;
const F_SETFL = 4;
const FD_CLOEXEC = 1;
const SHUT_RDWR = 2;
const F_DUPFD_CLOEXEC = 1030;

// include/uapi/asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_REUSEADDR: NativeOption = { level: SOL_SOCKET, name: 2 };
const SO_ERROR: NativeOption = { level: SOL_SOCKET, name: 4 };
const SO_TYPE: NativeOption = { level: SOL_SOCKET, name: 3 };
const SO_REUSEPORT: NativeOption = { level: SOL_SOCKET, name: 15 };
// PowerPC numbers this one differently (arch/powerpc/include/uapi/asm/socket.h).
const SO_PEERCRED: NativeOption = { level: SOL_SOCKET, name: process.arch === 'ppc64' ? 21 : 17 };
const SO_BINDTODEVICE: NativeOption = { level: SOL_SOCKET, name: 25 };
const SO_ACCEPTCONN: NativeOption = { level: SOL_SOCKET, name: 30 };
const SO_PROTOCOL: NativeOption = { level: SOL_SOCKET, name: 38 };
const SO_DOMAIN: NativeOption = { level: SOL_SOCKET, name: 39 };
const IPV6_V6ONLY: NativeOption = { level: 41, name: 26 };

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
/** include/uapi/linux/in.h: Multipath TCP, as Go makes its listeners. */
const IPPROTO_MPTCP = 262;
const SOCK_SEQPACKET = 5;

const EINPROGRESS = 115;
const EINTR = 4;
const EAGAIN = 11;
const ECONNABORTED = 103;

export const sockets: Sockets = {
  open,
  bind: (fd, endpoint) => {
    const address = encodeSockaddr(endpoint);
    check('bind', libc().bind(fd, address, address.length));
  },
  setBindOptions,
  listen: (fd, backlog) => {
    check('listen', libc().listen(fd, backlog));
  },
  address: (fd) => address(fd),
  hasOption: () => true,
  getOption: (fd, option) => {
    const { level, number, codec } = optionsTable[option];
    return getNative(fd, { level, name: number }, codec.size);
  },
  setOption: (fd, option, value) => {
    const { level, number } = optionsTable[option];
    setNative(fd, { level, name: number }, value);
  },
  acceptQueue: (fd) => {
    const { level, number } = optionsTable.TCP_INFO;
    return listenerQueue(getNative(fd, { level, name: number }, tcpInfo.size));
  },
  getReuseAddress: (fd) => numberOf(getNative(fd, SO_REUSEADDR, 4)) !== 0,
  setReuseAddress: (fd, reuse) => setNative(fd, SO_REUSEADDR, intOption(reuse ? 1 : 0)),
  duplicate: (fd) => check('fcntl', libc().fcntl(fd, F_DUPFD_CLOEXEC, 0)),
  setInherited,
  setBlocking,
  connect,
  accept,
  shutdown: (fd) => {
    check('shutdown', libc().shutdown(fd, SHUT_RDWR));
  },
  close: (fd) => {
    check('close', libc().close(fd));
  },
  identity,
  kind,
  isListening: (fd) => numberOf(getNative(fd, SO_ACCEPTCONN, 4)) !== 0,
  holdOff,
  letIn,
  markShared,
  sendDescriptors,
  receiveDescriptors,
  peer: (fd) => {
    const value = getNative(fd, SO_PEERCRED, 12);
    return { pid: numberOf(value, 0), uid: numberOf(value, 1), gid: numberOf(value, 2) };
  },
  destroy,
};

/** An int as the kernel stores it. */
export function intOption(value: number): Buffer {
  return Buffer.from(new Int32Array([value]).buffer);
}

function numberOf(value: Buffer, index = 0): number {
  return new Int32Array(value.buffer, value.byteOffset, value.length >> 2)[index] ?? 0;
}

function open(kind: 'tcp' | 'udp' | 'unix' | 'unix-datagram', family: 4 | 6): number {
  const domain = kind.startsWith('unix') ? AF_UNIX : family === 4 ? AF_INET : AF_INET6;
  const type = (kind === 'udp' || kind === 'unix-datagram' ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return check('socket', libc().socket(domain, type, 0));
}

function kind(fd: number): ReturnType<Sockets['kind']> {
  if (identity(fd) === null) return null;
  const domain = numberOf(getNative(fd, SO_DOMAIN, 4));
  const type = numberOf(getNative(fd, SO_TYPE, 4));
  if (domain === AF_UNIX) return type === SOCK_STREAM || type === SOCK_SEQPACKET ? 'unix' : 'unix-datagram';
  if (domain !== AF_INET && domain !== AF_INET6) return 'other';
  const protocol = numberOf(getNative(fd, SO_PROTOCOL, 4));
  if (type === SOCK_STREAM && (protocol === IPPROTO_TCP || protocol === IPPROTO_MPTCP)) return 'tcp';
  return type === SOCK_DGRAM && protocol === IPPROTO_UDP ? 'udp' : 'other';
}

function setBindOptions(fd: number, family: 4 | 6, options: BindOptions): void {
  setNative(fd, SO_REUSEADDR, intOption(options.reuseAddress ? 1 : 0));
  setNative(fd, SO_REUSEPORT, intOption(options.reusePort ? 1 : 0));
  // Always said, as libuv does: net.ipv6.bindv6only would decide otherwise.
  if (family === 6) setNative(fd, IPV6_V6ONLY, intOption(options.v6Only ? 1 : 0));
  if (options.device !== null) setNative(fd, SO_BINDTODEVICE, Buffer.from(`${options.device}\0`));
}

function address(fd: number, call: 'getsockname' | 'getpeername' = 'getsockname'): InetEndpoint | UnixEndpoint {
  const bytes = Buffer.alloc(sockaddrSize);
  const length = intOption(bytes.length);
  check(call, libc()[call](fd, bytes, length));
  const type = numberOf(getNative(fd, SO_TYPE, 4));
  return decodeSockaddr(bytes, numberOf(length), type === SOCK_DGRAM ? 'udp' : 'tcp');
}

/** What went wrong with it since it was asked last (SO_ERROR), or null. @throws {NativeError} */
export function socketError(fd: number): string | null {
  const errno = numberOf(getNative(fd, SO_ERROR, 4));
  return errno === 0 ? null : new NativeError('connect', errno).code;
}

/** The address that it is connected to. @throws {NativeError} */
export function peerAddress(fd: number): InetEndpoint | UnixEndpoint {
  return address(fd, 'getpeername');
}

/** @param question What the kernel reads before it answers. @throws {NativeError} */
export function getNative(fd: number, option: NativeOption, size: number, question?: Buffer): Buffer {
  // Not from Buffer's pool: numberOf needs the alignment of a fresh ArrayBuffer.
  const value = Buffer.from(new ArrayBuffer(size));
  question?.copy(value);
  const length = intOption(size);
  check('getsockopt', libc().getsockopt(fd, option.level, option.name, value, length));
  return value.subarray(0, numberOf(length));
}

/** @throws {NativeError} */
export function setNative(fd: number, option: NativeOption, value: Buffer): void {
  check('setsockopt', libc().setsockopt(fd, option.level, option.name, value, value.length));
}

function setInherited(fd: number, inherited: boolean): void {
  const flags = check('fcntl', libc().fcntl(fd, F_GETFD, 0));
  check('fcntl', libc().fcntl(fd, F_SETFD, inherited ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC));
}

function setBlocking(fd: number, blocking: boolean): void {
  const flags = check('fcntl', libc().fcntl(fd, F_GETFL, 0));
  check('fcntl', libc().fcntl(fd, F_SETFL, blocking ? flags & ~SOCK_NONBLOCK : flags | SOCK_NONBLOCK));
}

function connect(fd: number, endpoint: InetEndpoint | UnixEndpoint): 'done' | 'pending' {
  const to = encodeSockaddr(endpoint);
  for (;;) {
    if (libc().connect(fd, to, to.length) === 0) return 'done';
    const errno = libc().errno();
    if (errno === EINPROGRESS) return 'pending';
    if (errno !== EINTR) throw new NativeError('connect', errno);
  }
}

function accept(fd: number): number | null {
  for (;;) {
    const accepted = libc().accept4(fd, null, null, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (accepted >= 0) return accepted;
    const errno = libc().errno();
    if (errno === EAGAIN) return null;
    // ECONNABORTED: that one left while it waited (accept(2)).
    if (errno !== EINTR && errno !== ECONNABORTED) throw new NativeError('accept4', errno);
  }
}

function identity(fd: number): { dev: string; inode: number } | null {
  try {
    const stat = fstatSync(fd, { bigint: true });
    return stat.isSocket() ? { dev: String(stat.dev), inode: Number(stat.ino) } : null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EBADF') return null;
    throw error;
  }
}
