/**
 * Sockets of this process. There is no SOCK_CLOEXEC on macOS, so fcntl(2) says it, and nothing of a listener can be paused, copied or removed.
 */
import type { BindOptions, InetEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import { UnsupportedError } from '../errors.ts';
import type { Sockets } from '../sockets.ts';
import { eachSocket } from './holders.ts';
import type { LibSystem } from './lib-system.ts';
import type { Mac } from './mac.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  EAGAIN,
  ECONNABORTED,
  EINPROGRESS,
  EINTR,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  failure,
  IP_BOUND_IF,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_BOUND_IF,
  IPV6_V6ONLY,
  LOCAL_PEERCRED,
  LOCAL_PEERPID,
  O_NONBLOCK,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_TYPE,
  SOCK_DGRAM,
  SOCK_STREAM,
  SOL_LOCAL,
  SOL_SOCKET,
} from './numbers.ts';
import { darwinOptions, darwinTable } from './options.ts';
import { decodeSockaddr, encodeSockaddr, sockaddrSize } from './sockaddr.ts';
import type { OpenSocket } from './socket-info.ts';

const ENXIO = 6;
const EBADF = 9;
const ENOTSOCK = 38;

export function openSockets(
  mac: Mac,
  lacks: (capability: 'removeSocket' | 'pauseListener' | 'passSockets') => string,
): Sockets {
  const lib = (): LibSystem => mac.lib();
  const check = (syscall: string, result: number): number => {
    if (result === -1) throw failure(syscall, lib().errno());
    return result;
  };
  const lacking = (capability: Parameters<typeof lacks>[0]) => (): never => {
    throw new UnsupportedError(lacks(capability));
  };
  const get = (fd: number, level: number, name: number, size: number): Buffer => {
    const value = Buffer.alloc(size);
    const length = int(size);
    check('getsockopt', lib().getsockopt(fd, level, name, value, length));
    return value.subarray(0, length.readInt32LE(0));
  };
  const set = (fd: number, level: number, name: number, value: Buffer): void => {
    check('setsockopt', lib().setsockopt(fd, level, name, value, value.length));
  };
  /** A new descriptor, made as the others are where the system does that itself. */
  const prepared = (fd: number): number => {
    try {
      check('fcntl', lib().fcntl(fd, F_SETFD, FD_CLOEXEC));
      check('fcntl', lib().fcntl(fd, F_SETFL, check('fcntl', lib().fcntl(fd, F_GETFL, 0)) | O_NONBLOCK));
      return fd;
    } catch (error) {
      lib().close(fd);
      throw error;
    }
  };
  /** False for what is no socket, and what is not open. */
  const isSocket = (fd: number): boolean => {
    if (lib().getsockopt(fd, SOL_SOCKET, SO_TYPE, Buffer.alloc(4), int(4)) === 0) return true;
    const errno = lib().errno();
    if (errno === EBADF || errno === ENOTSOCK) return false;
    throw failure('getsockopt', errno);
  };
  const typeOf = (fd: number): number => get(fd, SOL_SOCKET, SO_TYPE, 4).readInt32LE(0);
  const nameOf = (fd: number): { bytes: Buffer; length: number } => {
    const bytes = Buffer.alloc(sockaddrSize);
    const length = int(bytes.length);
    check('getsockname', lib().getsockname(fd, bytes, length));
    return { bytes, length: length.readInt32LE(0) };
  };
  /** An interface by its number, in the way of each family; an empty name is any. */
  const setDevice = (fd: number, family: 4 | 6, device: string): void => {
    const index = device === '' ? 0 : lib().if_nametoindex(device);
    if (index === 0 && device !== '') throw failure('setsockopt', ENXIO, 'there is no such interface');
    if (family === 6) set(fd, IPPROTO_IPV6, IPV6_BOUND_IF, int(index));
    else set(fd, IPPROTO_IP, IP_BOUND_IF, int(index));
  };
  /** What the kernel tells of one of our own descriptors. */
  const ownSocket = (fd: number): OpenSocket | null => {
    let found: OpenSocket | null = null;
    eachSocket(lib(), mac.darwin, process.pid, (socket, descriptor) => {
      if (descriptor === fd) found = socket;
    });
    return found;
  };

  return {
    open(kind, family) {
      const domain = kind.startsWith('unix') ? AF_UNIX : family === 4 ? AF_INET : AF_INET6;
      const type = kind === 'udp' || kind === 'unix-datagram' ? SOCK_DGRAM : SOCK_STREAM;
      return prepared(check('socket', lib().socket(domain, type, 0)));
    },
    bind(fd, endpoint) {
      const address = encodeSockaddr(endpoint, lib());
      check('bind', lib().bind(fd, address, address.length));
    },
    setBindOptions(fd, family, options: BindOptions) {
      set(fd, SOL_SOCKET, SO_REUSEADDR, int(options.reuseAddress ? 1 : 0));
      set(fd, SOL_SOCKET, SO_REUSEPORT, int(options.reusePort ? 1 : 0));
      // Always said, as libuv does: net.inet6.ip6.v6only would decide otherwise.
      if (family === 6) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, int(options.v6Only ? 1 : 0));
      if (options.device !== null) setDevice(fd, family, options.device);
    },
    listen(fd, backlog) {
      check('listen', lib().listen(fd, backlog));
    },
    address(fd): InetEndpoint | UnixEndpoint {
      const { bytes, length } = nameOf(fd);
      return decodeSockaddr(bytes, length, typeOf(fd) === SOCK_DGRAM ? 'udp' : 'tcp', lib());
    },
    hasOption: (option) => option === 'SO_BINDTODEVICE' || darwinTable[option] !== undefined,
    getOption(fd, option) {
      const { level, number, codec } = darwinOptions(option);
      return get(fd, level, number, codec.size);
    },
    setOption(fd, option, value) {
      if (option === 'SO_BINDTODEVICE') {
        const end = value.indexOf(0);
        setDevice(
          fd,
          nameOf(fd).bytes[1] === AF_INET6 ? 6 : 4,
          value.toString('utf8', 0, end < 0 ? value.length : end),
        );
        return;
      }
      const { level, number } = darwinOptions(option);
      set(fd, level, number, value);
    },
    acceptQueue(fd) {
      const found = ownSocket(fd);
      if (found === null) throw failure('proc_pidfdinfo', EBADF);
      return found.queue;
    },
    getReuseAddress: (fd) => get(fd, SOL_SOCKET, SO_REUSEADDR, 4).readInt32LE(0) !== 0,
    setReuseAddress: (fd, reuse) => set(fd, SOL_SOCKET, SO_REUSEADDR, int(reuse ? 1 : 0)),
    duplicate: (fd) => check('fcntl', lib().fcntl(fd, F_DUPFD_CLOEXEC, 0)),
    setInherited(fd, inherited) {
      const flags = check('fcntl', lib().fcntl(fd, F_GETFD, 0));
      check('fcntl', lib().fcntl(fd, F_SETFD, inherited ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC));
    },
    setBlocking(fd, blocking) {
      const flags = check('fcntl', lib().fcntl(fd, F_GETFL, 0));
      check('fcntl', lib().fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK));
    },
    connect(fd, endpoint) {
      const to = encodeSockaddr(endpoint, lib());
      for (;;) {
        if (lib().connect(fd, to, to.length) === 0) return 'done';
        const errno = lib().errno();
        if (errno === EINPROGRESS) return 'pending';
        if (errno !== EINTR) throw failure('connect', errno);
      }
    },
    accept(fd) {
      for (;;) {
        const accepted = lib().accept(fd);
        if (accepted >= 0) return prepared(accepted);
        const errno = lib().errno();
        if (errno === EAGAIN) return null;
        // ECONNABORTED: that one left while it waited (accept(2)).
        if (errno !== EINTR && errno !== ECONNABORTED) throw failure('accept', errno);
      }
    },
    // shutdown(2) of a listener is ENOTCONN, and it goes on listening.
    shutdown: lacking('pauseListener'),
    close(fd) {
      check('close', lib().close(fd));
    },
    // fstat(2) gives 0 for a TCP or UDP socket.
    identity(fd) {
      const found = isSocket(fd) ? ownSocket(fd) : null;
      return found === null ? null : { dev: found.protocol, inode: found.id };
    },
    kind(fd) {
      if (!isSocket(fd)) return null;
      const family = nameOf(fd).bytes[1];
      const type = typeOf(fd);
      if (family === AF_UNIX) return type === SOCK_DGRAM ? 'unix-datagram' : 'unix';
      if (family !== AF_INET && family !== AF_INET6) return 'other';
      return type === SOCK_STREAM ? 'tcp' : type === SOCK_DGRAM ? 'udp' : 'other';
    },
    // SO_ACCEPTCONN cannot be asked for (ENOPROTOOPT).
    isListening: (fd) => ownSocket(fd)?.isListening ?? false,
    holdOff: lacking('pauseListener'),
    letIn: lacking('pauseListener'),
    markShared: lacking('pauseListener'),
    sendDescriptors: lacking('passSockets'),
    receiveDescriptors: lacking('passSockets'),
    peer(fd) {
      // struct xucred: version, uid, number of groups, groups.
      const credentials = get(fd, SOL_LOCAL, LOCAL_PEERCRED, 76);
      const pid = get(fd, SOL_LOCAL, LOCAL_PEERPID, 4);
      return { pid: pid.readInt32LE(0), uid: credentials.readUInt32LE(4), gid: credentials.readUInt32LE(12) };
    },
    destroy: lacking('removeSocket'),
  };
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value, 0);
  return bytes;
}
