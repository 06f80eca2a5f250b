/**
 * What no table shows: SO_REUSEADDR, SO_REUSEPORT, and IPV6_V6ONLY of a connection. They are read from the socket itself,
 * through a copy of its descriptor (pidfd_getfd(2)), which needs the right to trace the process that has it (ptrace(2)).
 *
 * While the copy is open the socket lives, so it is closed at once.
 */
import type { InetSocket, ProcessIdentity } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { isSystemError, NativeError } from '../../errors.ts';
import type { ProcessHandle } from '../../processes.ts';
import { viewOf } from '../netlink/netlink.ts';
import { libc } from './libc.ts';
import { processes } from './pidfd.ts';
import { sockets } from './socket.ts';

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_REUSEPORT = 15;
const SO_COOKIE = 57;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

export interface HiddenFlags {
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  readonly v6Only: boolean;
}

/** What proves that a descriptor is the socket that was read. */
type Subject = Pick<InetSocket, 'family' | 'inode' | 'linux'>;

/** Where a copy of a socket is available. */
export interface Access {
  readonly holder: ProcessIdentity;
  readonly descriptor: number;
}

/** Reads flags, with one pidfd for each process. Close it when done. */
export interface FlagReader {
  /** Null when we may not, or the descriptor is not that socket any more. */
  read(socket: Subject, access: Access): HiddenFlags | null;
  close(): void;
}

export function openFlagReader(): FlagReader {
  const handles = new Map<number, ProcessHandle | null>();
  return {
    read(socket, { holder, descriptor }) {
      let handle = handles.get(holder.pid);
      if (handle === undefined) {
        handle = openOrNull(holder);
        handles.set(holder.pid, handle);
      }
      if (handle === null) return null;
      const taken = handle.takeDescriptor(descriptor);
      if (taken.fd === null) {
        // EPERM will not change for this process; asking for each of its sockets would only cost.
        if (taken.why === 'EPERM') {
          handle.close();
          handles.set(holder.pid, null);
        }
        return null;
      }
      try {
        // The descriptor may have been closed and used again since it was seen.
        return isThat(taken.fd, socket) ? readFlags(taken.fd, socket.family) : null;
      } finally {
        libc().close(taken.fd);
      }
    },
    close() {
      for (const handle of handles.values()) handle?.close();
      handles.clear();
    },
  };
}

/** Flags are a help, and no descriptor that is left for them is no reason to say nothing at all. */
function openOrNull(holder: ProcessIdentity): ProcessHandle | null {
  try {
    return processes.open(holder);
  } catch (error) {
    if (isSystemError(error)) return null;
    throw error;
  }
}

/** Null when it is not such a socket. */
export function readFlags(fd: number, family: 4 | 6): HiddenFlags | null {
  const flag = (level: number, name: number): boolean | null => {
    const value = option(fd, level, name, 4);
    return value === null ? null : viewOf(value).getInt32(0, littleEndian) !== 0;
  };
  const reuseAddress = flag(SOL_SOCKET, SO_REUSEADDR);
  const reusePort = flag(SOL_SOCKET, SO_REUSEPORT);
  const v6Only = family === 4 ? false : flag(IPPROTO_IPV6, IPV6_V6ONLY);
  return reuseAddress === null || reusePort === null || v6Only === null ? null : { reuseAddress, reusePort, v6Only };
}

/** A cookie is never used again, an inode number may be; but of Multipath TCP the table shows the subflow, which has a cookie of its own. */
function isThat(fd: number, { inode, linux }: Subject): boolean {
  const cookie = linux?.cookie ?? null;
  if (cookie === null || linux?.mptcp) return sockets.identity(fd)?.inode === inode;
  const value = option(fd, SOL_SOCKET, SO_COOKIE, 8);
  return value !== null && viewOf(value).getBigUint64(0, littleEndian) === BigInt(`0x${cookie}`);
}

/** Null when it is not that kind of socket (any more). */
function option(fd: number, level: number, name: number, size: number): Buffer | null {
  const value = Buffer.from(new ArrayBuffer(size));
  const length = Buffer.from(new Uint32Array([size]).buffer);
  if (libc().getsockopt(fd, level, name, value, length) === 0) return value;
  const errno = libc().errno();
  const { code } = new NativeError('getsockopt', errno);
  if (code === 'ENOTSOCK' || code === 'EBADF' || code === 'ENOPROTOOPT' || code === 'EOPNOTSUPP') return null;
  throw new NativeError('getsockopt', errno);
}
