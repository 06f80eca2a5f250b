/**
 * Matches and targets of iptables, as nf_tables carries them and as the older tables hold them (include/uapi/linux/netfilter/xt_*.h,
 * include/uapi/linux/netfilter/nf_nat.h). Those that are not known may fit, and what they do is not known.
 */
import { littleEndian } from '../../byte-order.ts';
import type { Packet } from './packet.ts';
import type { Verdict } from './rule-walk.ts';

/** NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED. */
const mapsAddress = 1;
const mapsPort = 2;

const word = (bytes: Buffer, at: number): number => {
  if (bytes.length < at + 4) return 0;
  return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
};
const half = (bytes: Buffer, at: number): number => {
  if (bytes.length < at + 2) return 0;
  return littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
};

/** Null where it cannot be told. */
export function matchFits(name: string, revision: number, info: Buffer, packet: Packet): boolean | null {
  if (name === 'comment') return true;
  if (name === 'tcp' || name === 'udp') return name === packet.protocol ? portsFit(name, info, packet) : false;
  if (name === 'multiport' && revision === 1) return multiportFits(info, packet);
  if (name === 'addrtype' && revision === 1) return addressTypeFits(info, packet);
  return null;
}

/** struct xt_tcp: source ports, destination ports, option u8, flag mask u8, flags u8, inverted u8. struct xt_udp: ports, inverted u8. */
function portsFit(name: 'tcp' | 'udp', info: Buffer, { from, to }: Packet): boolean | null {
  if (info.length < (name === 'tcp' ? 12 : 9)) return null;
  const inverted = info[name === 'tcp' ? 11 : 8] ?? 0;
  const inside = (at: number, port: number): boolean => port >= half(info, at) && port <= half(info, at + 2);
  const anySource = half(info, 0) === 0 && half(info, 2) === 0xffff;
  const source = anySource ? true : from.port === 0 ? null : inside(0, from.port) !== ((inverted & 1) !== 0);
  const target = to.port === 0 ? null : inside(4, to.port) !== ((inverted & 2) !== 0);
  if (source === false || target === false) return false;
  const plain = name === 'udp' || ((info[8] ?? 0) === 0 && (info[9] ?? 0) === 0);
  return plain && source === true && target === true ? true : null;
}

/** struct xt_multiport_v1: flags u8 (0 source, 1 destination, 2 either), count u8, 15 ports, 15 marks of a range, inverted u8. */
function multiportFits(info: Buffer, { from, to }: Packet): boolean | null {
  const [flags = 0, count = 0] = info;
  if (info.length < 48 || count > 15 || flags > 1) return null;
  const port = flags === 0 ? from.port : to.port;
  if (port === 0) return null;
  let found = false;
  for (let index = 0; index < count; index++) {
    const low = half(info, 2 + 2 * index);
    const isRange = info[32 + index] !== 0 && index + 1 < count;
    const high = isRange ? half(info, 4 + 2 * index) : low;
    if (port >= low && port <= high) found = true;
    if (isRange) index++;
  }
  return found !== (info[47] !== 0);
}

/** struct xt_addrtype_info_v1: source u16, destination u16, flags u32; bit 2 is RTN_LOCAL. */
function addressTypeFits(info: Buffer, { isLocal }: Packet): boolean | null {
  const isPlain = half(info, 0) === 0 && half(info, 2) === 1 << 2;
  const flags = word(info, 4);
  // XT_ADDRTYPE_INVERT_DEST
  if (!isPlain || (flags & ~2) !== 0) return null;
  return isLocal !== ((flags & 2) !== 0);
}

/** What a target does. */
export function targetVerdict(name: string, info: Buffer, family: 4 | 6): Verdict {
  switch (name) {
    case 'DROP':
      return { kind: 'stop', text: 'DROP' };
    case 'ACCEPT':
    case 'MASQUERADE':
    case 'SNAT':
      return { kind: 'accept' };
    // IPT_TCP_RESET and IP6T_TCP_RESET.
    case 'REJECT':
      return { kind: 'stop', text: `REJECT${word(info, 0) === (family === 4 ? 7 : 6) ? ' with tcp-reset' : ''}` };
    case 'DNAT':
      return { kind: 'forward', text: `DNAT${destinationOf(info, family)}` };
    case 'REDIRECT':
      return { kind: 'forward', text: `REDIRECT${redirectedTo(info)}` };
    case 'TPROXY':
      return { kind: 'forward', text: 'TPROXY' };
    case 'NFQUEUE':
      return { kind: 'stop', text: 'NFQUEUE' };
    case 'LOG':
    case 'NFLOG':
    case 'MARK':
    case 'CONNMARK':
    case 'CT':
    case 'TRACE':
    case 'TCPMSS':
      return { kind: 'none' };
    default:
      return { kind: 'unknown' };
  }
}

/** struct nf_nat_range2: flags u32, two addresses of 16 bytes, ports in network order. Older revisions begin with a count of 1 and have four bytes. */
function destinationOf(info: Buffer, family: 4 | 6): string {
  if (info.length < 40) return '';
  const flags = word(info, 0);
  const bytes = info.subarray(4, family === 4 ? 8 : 20);
  const address = family === 4 ? bytes.join('.') : `[${(bytes.toString('hex').match(/.{4}/g) ?? []).join(':')}]`;
  const port = (flags & mapsPort) === 0 ? '' : `:${info.readUInt16BE(36)}`;
  const to = `${(flags & mapsAddress) === 0 ? '' : address}${port}`;
  return to === '' ? '' : ` to ${to}`;
}

/** struct nf_nat_ipv4_multi_range_compat: count u32, flags u32, two addresses of 4 bytes, two ports; or struct nf_nat_range2. */
function redirectedTo(info: Buffer): string {
  const isOld = info.length >= 20 && info.length < 40;
  const flags = word(info, isOld ? 4 : 0);
  const at = isOld ? 16 : 36;
  return (flags & mapsPort) === 0 || info.length < at + 2 ? '' : ` to :${info.readUInt16BE(at)}`;
}
