/**
 * Does any process have the socket of a file open? Only the kernel is asked, never the server.
 *
 * The kernel finds the socket of a file by its inode, in whatever network namespace it was made (unix_find_bsd in net/unix/af_unix.c), and
 * compares the types before it does anything: a datagram socket that is to be connected to a stream server fails with EPROTOTYPE and reaches
 * no queue. Between two datagram sockets connect(2) only notes the peer.
 */
import { NativeError } from '../../errors.ts';
import type { Directory } from '../../files.ts';
import { libc } from './libc.ts';
import { encodeSockaddr } from './sockaddr.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;

export type FileOwner = ReturnType<Directory['isOpen']>;

/** @param path A path of a socket's file, or of a descriptor of it in /proc. A link is followed. */
export function whoHasFile(path: string): FileOwner {
  const { socket, connect, close, errno } = libc();
  const fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd === -1) return { open: null, why: new NativeError('socket', errno()).code };
  try {
    const address = encodeSockaddr({ protocol: 'unix', path });
    if (connect(fd, address, address.length) === 0) return { open: true };
    const { code } = new NativeError('connect', errno());
    if (code === 'ECONNREFUSED') return { open: false };
    // EPERM: a datagram socket that has another peer. EAGAIN: its queue is full.
    if (code === 'EPROTOTYPE' || code === 'EPERM' || code === 'EAGAIN') return { open: true };
    return { open: null, why: code };
  } catch (error) {
    if (error instanceof NativeError) return { open: null, why: error.code };
    throw error;
  } finally {
    close(fd);
  }
}
