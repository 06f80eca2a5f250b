import type { InetSocket } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import { check, libc } from '../calls/libc.ts';
import { AF_INET, AF_INET6, addressBytes, deviceIndex } from '../calls/sockaddr.ts';
import { viewOf } from './netlink.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DESTROY = 21;
const NLMSG_ERROR = 2;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const ENOENT = 2;

const headerSize = 16;
const requestSize = 56;

/** How often a member of a SO_REUSEPORT group is asked for: the lookup picks a member by a hash of the remote port. */
const groupAttempts = 4_096;

/**
 * Destroys one socket. `gone` when no socket of that cookie is there any more.
 *
 * A listener or an explicitly bound client stays bound: destroying takes away what nobody owns, and connections.
 */
export function destroy(socket: InetSocket): 'done' | 'gone' | { why: string } {
  if (cookieOf(socket) === null) return { why: 'the kernel did not tell its cookie' };
  const fd = check('socket', libc().socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  try {
    const unconnected = socket.remote === null;
    for (let attempt = 0; attempt < (unconnected ? groupAttempts : 1); attempt++) {
      const errno = ask(fd, encode(socket, attempt));
      if (errno === 0) return 'done';
      if (errno !== ENOENT) return { why: new NativeError('SOCK_DESTROY', errno).code };
    }
    return 'gone';
  } finally {
    libc().close(fd);
  }
}

/** The errno of the answer, 0 for done. */
function ask(fd: number, request: Buffer): number {
  check('sendto', libc().sendto(fd, request, request.length, 0, null, 0));
  const answer = Buffer.alloc(4096);
  const length = check('recv', libc().recv(fd, answer, answer.length, 0));
  return decodeAnswer(answer.subarray(0, length));
}

/** The errno that the kernel answers, 0 for done. @throws {NativeError} when it answered something else. @internal Exported for the fuzz test. */
export function decodeAnswer(answer: Buffer): number {
  const view = viewOf(answer);
  const errno =
    answer.length < headerSize + 4 || view.getUint16(4, littleEndian) !== NLMSG_ERROR
      ? -1
      : -view.getInt32(headerSize, littleEndian);
  // MAX_ERRNO of include/linux/err.h.
  if (errno < 0 || errno > 4_095) throw new NativeError('SOCK_DESTROY', 74, 'the kernel answered something else');
  return errno;
}

/** struct nlmsghdr and struct inet_diag_req_v2. */
function encode(socket: InetSocket, remotePort: number): Buffer {
  const bytes = Buffer.alloc(headerSize + requestSize);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  view.setUint32(0, bytes.length, littleEndian);
  view.setUint16(4, SOCK_DESTROY, littleEndian);
  view.setUint16(6, NLM_F_REQUEST | NLM_F_ACK, littleEndian);
  const at = headerSize;
  bytes[at] = socket.family === 4 ? AF_INET : AF_INET6;
  bytes[at + 1] = socket.protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP;
  view.setUint32(at + 4, 0xffff_ffff, littleEndian);
  view.setUint16(at + 8, socket.local.port);
  view.setUint16(at + 10, socket.remote?.port ?? remotePort);
  bytes.set(addressBytes(socket.local.address), at + 12);
  if (socket.remote !== null) bytes.set(addressBytes(socket.remote.address), at + 28);
  view.setUint32(at + 44, socket.device === null ? 0 : deviceIndex(socket.device), littleEndian);
  view.setBigUint64(at + 48, BigInt(`0x${cookieOf(socket) ?? '0'}`), littleEndian);
  return bytes;
}

function cookieOf({ linux }: InetSocket): string | null {
  return linux?.cookie ?? null;
}
