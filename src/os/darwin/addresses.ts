/**
 * Addresses as the kernel has them in its structures: sixteen bytes, of which the last four are an IPv4 address.
 */
import { formatIpv6 } from '../../model/address.ts';
import { AF_INET, AF_INET6, INP_IPV4, INP_IPV6 } from './numbers.ts';

/** The family of a socket: its own, or where the kernel does not say, that of its packets. */
export function familyOfSocket(domain: number, vflag: number): 4 | 6 {
  if (domain === AF_INET) return 4;
  if (domain === AF_INET6) return 6;
  return (vflag & INP_IPV6) !== 0 ? 6 : 4;
}

/** An IPv6 socket that is on IPv4 only has a mapped address. A link-local address has its zone in the third and fourth byte (in6_embedscope). */
export function addressOf(bytes: Buffer, family: 4 | 6, vflag: number): string {
  const v4 = [...bytes.subarray(12, 16)].join('.');
  if (family === 4) return v4;
  if ((vflag & INP_IPV4) !== 0 && (vflag & INP_IPV6) === 0) return `::ffff:${v4}`;
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index));
  const [first = 0] = groups;
  const isLinkLocal = (first & 0xffc0) === 0xfe80 || (first & 0xff0f) === 0xff01 || (first & 0xff0f) === 0xff02;
  if (isLinkLocal) groups[1] = 0;
  return formatIpv6(groups);
}
