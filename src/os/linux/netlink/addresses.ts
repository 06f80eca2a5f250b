/**
 * The addresses of this machine, also of interfaces that are down: rtnetlink(7), include/uapi/linux/if_addr.h.
 * getifaddrs(3) as Node wraps it leaves those out, and a bind to them succeeds.
 */
import { formatIpv6 } from '../../../model/address.ts';
import { littleEndian } from '../../byte-order.ts';
import { isNativeError, isSystemError } from '../../errors.ts';
import { hasLibc } from '../calls/libc.ts';
import { deviceName } from '../calls/sockaddr.ts';
import type { Proc } from '../proc/proc.ts';
import { isLinkLocal, type LocalAddress, readProcAddresses, standingOf } from '../proc/proc-addresses.ts';
import { eachAttribute } from './attributes.ts';
import { type Conversation, dump, NetlinkError, viewOf } from './netlink.ts';
import { NETLINK_ROUTE, openNetlink } from './netlink-socket.ts';

const RTM_GETADDR = 22;
const AF_INET = 2;
const AF_INET6 = 10;

/** struct ifaddrmsg. */
const message = { family: 0, flags: 2, index: 4, size: 8 } as const;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/** Every address, or none when neither the kernel, Node nor /proc tells them. */
export function readAddresses(proc: Proc): LocalAddress[] {
  if (!hasLibc()) return withoutNetlink(proc);
  try {
    const kernel = openNetlink(NETLINK_ROUTE);
    try {
      const names = new Map<number, string>();
      const nameOf = (index: number): string => {
        const known = names.get(index) ?? deviceName(index);
        names.set(index, known);
        return known;
      };
      return addressesFrom(kernel, nameOf);
    } finally {
      kernel.close();
    }
  } catch (error) {
    if (isNativeError(error) || error instanceof NetlinkError) return withoutNetlink(proc);
    throw error;
  }
}

/** @throws {NativeError} @throws {NetlinkError} */
export function addressesFrom(conversation: Conversation, nameOf: (index: number) => string): LocalAddress[] {
  // struct ifaddrmsg of zeros asks for both families.
  return dump(conversation, RTM_GETADDR, Buffer.alloc(message.size), (body) => decodeAddress(body, nameOf)).rows;
}

function decodeAddress(body: Buffer, nameOf: (index: number) => string): LocalAddress | null {
  if (body.length < message.size) throw new NetlinkError(`An address of ${body.length} bytes is cut off`);
  const family = body[message.family];
  let address: Buffer | undefined;
  let local: Buffer | undefined;
  eachAttribute(body, message.size, (type, value) => {
    if (type === IFA_ADDRESS) address = value;
    if (type === IFA_LOCAL) local = value;
  });
  // On a point-to-point link IFA_ADDRESS is the other end.
  const own = local ?? address;
  if (own === undefined) return null;
  const device = nameOf(viewOf(body).getUint32(message.index, littleEndian));
  if (family === AF_INET && own.length === 4) return { address: own.join('.'), device };
  if (family === AF_INET6 && own.length === 16) {
    const address = textOf(own, device);
    return { address, device, ...standingOf(body[message.flags] ?? 0) };
  }
  return null;
}

/** A link-local address means something only together with its interface. */
function textOf(bytes: Buffer, device: string): string {
  const text = formatIpv6(Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index)));
  return isLinkLocal(text) ? `${text}%${device}` : text;
}

/** getifaddrs(3), which Node calls, asks netlink too, and fails where that is forbidden. */
function withoutNetlink(proc: Proc): LocalAddress[] {
  try {
    return fromNode();
  } catch (error) {
    if (!isSystemError(error) && (error as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw error;
    return readProcAddresses(proc);
  }
}

function fromNode(): LocalAddress[] {
  const found: LocalAddress[] = [];
  for (const [device, addresses] of Object.entries(process.getBuiltinModule('node:os').networkInterfaces()))
    for (const { address } of addresses ?? [])
      found.push({ address: isLinkLocal(address) ? `${address}%${device}` : address, device });
  return found;
}
