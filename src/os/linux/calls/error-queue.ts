/**
 * Who refused a packet of ours: the error queue of a socket, ip(7) IP_RECVERR and ipv6(7) IPV6_RECVERR, recvmsg(2) MSG_ERRQUEUE,
 * struct sock_extended_err in include/uapi/linux/errqueue.h. A refusal without an entry is a RST, or was decided here without a packet.
 * Any user may ask for it; a socket of Multipath TCP cannot.
 */
import type { Refusal } from '../../../model/reach/evidence.ts';
import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import { addressOf } from '../netlink/routes.ts';
import { libc } from './libc.ts';
import { eachControl, intAt, resultOf, withMessage } from './message.ts';
import { AF_INET, AF_INET6 } from './sockaddr.ts';

const MSG_DONTWAIT = 0x40;
const MSG_ERRQUEUE = 0x2000;

const IPPROTO_IP = 0;
const IP_RECVERR = 11;
const IPPROTO_IPV6 = 41;
const IPV6_RECVERR = 25;

/** struct sock_extended_err: errno, origin, type, code, padding, info, data; then a struct sockaddr of who sent it. */
const entrySize = 16;
const origins = ['none', 'local', 'icmp', 'icmp6'] as const satisfies readonly Refusal['origin'][];

/** A queue holds no more than these; one attempt causes one or two. */
const mostEntries = 16;
const EAGAIN = 11;

/** Asks the kernel to keep the refusals of a socket. False where it cannot. */
export function keepRefusals(fd: number, family: 4 | 6): boolean {
  const [level, name] = family === 4 ? [IPPROTO_IP, IP_RECVERR] : [IPPROTO_IPV6, IPV6_RECVERR];
  const one = Buffer.from(new Int32Array([1]).buffer);
  return libc().setsockopt(fd, level, name, one, one.length) === 0;
}

/** Takes the refusals from a socket, the oldest first. */
export function readRefusals(fd: number): Refusal[] {
  const found: Refusal[] = [];
  const data = Buffer.alloc(512);
  const control = Buffer.alloc(512);
  while (found.length < mostEntries) {
    let length = 0;
    const got = withMessage(data, control, (message) => {
      const result = libc().recvmsg(fd, message, MSG_ERRQUEUE | MSG_DONTWAIT);
      length = resultOf(message).controlLength;
      return result;
    });
    if (got === -1) {
      const errno = libc().errno();
      if (errno === EAGAIN) return found;
      throw new NativeError('recvmsg', errno);
    }
    found.push(...decodeRefusals(control.subarray(0, length)));
  }
  return found;
}

/** The refusals in one set of control messages. */
export function decodeRefusals(control: Buffer): Refusal[] {
  const found: Refusal[] = [];
  eachControl(control, (level, type, data) => {
    const isOurs = (level === IPPROTO_IP && type === IP_RECVERR) || (level === IPPROTO_IPV6 && type === IPV6_RECVERR);
    const origin = origins[data[4] ?? 0];
    if (!isOurs || data.length < entrySize || origin === undefined) return;
    const errno = intAt(data, 0);
    if (errno <= 0 || errno > 4_095) return;
    found.push({
      errno: new NativeError('connect', errno).code,
      origin,
      type: data[5] ?? 0,
      code: data[6] ?? 0,
      from: senderOf(data.subarray(entrySize)),
    });
  });
  return found;
}

/** struct sockaddr_in or sockaddr_in6; of another family when nobody sent it. */
function senderOf(bytes: Buffer): string | null {
  if (bytes.length < 8) return null;
  const family = littleEndian ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0);
  if (family === AF_INET) return addressOf(bytes.subarray(4, 8));
  return family === AF_INET6 && bytes.length >= 24 ? addressOf(bytes.subarray(8, 24)) : null;
}
