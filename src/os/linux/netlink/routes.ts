/**
 * What the kernel would do with a packet to an address: rtnetlink(7), RTM_GETROUTE (net/ipv4/route.c: inet_rtm_getroute,
 * net/ipv6/route.c: inet6_rtm_getroute). Any user may ask, and nothing is sent. It does not say what a cgroup hook, seccomp or Landlock would.
 */
import { familyOf, formatIpv6 } from '../../../model/address.ts';
import { littleEndian } from '../../byte-order.ts';
import { isNativeError } from '../../errors.ts';
import { AF_INET, AF_INET6, addressBytes, deviceIndex } from '../calls/sockaddr.ts';
import { eachAttribute, encodeAttribute } from './attributes.ts';
import { ask, type Conversation, NetlinkError, viewOf } from './netlink.ts';

const RTM_GETROUTE = 26;

/** struct rtmsg. */
const message = { family: 0, destinationLength: 1, type: 7, flags: 8, size: 12 } as const;
/** Since Linux 4.13: the route that matches, as it stands in the table, in place of what comes out of it. */
const RTM_F_FIB_MATCH = 0x2000;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_VIA = 18;
/** Since Linux 4.18, for rules that choose by port; older kernels pass over them. */
const RTA_IP_PROTO = 27;
const RTA_DPORT = 29;
const RTAX_MTU = 2;

/** rtm_type in include/uapi/linux/rtnetlink.h. */
const types = [
  'unspecified',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
  'throw',
  'nat',
  'resolver',
] as const;
export type RouteType = (typeof types)[number];

/** The way of a packet. */
export interface Way {
  readonly type: RouteType;
  /** The number of the interface that it leaves by, or null. */
  readonly deviceIndex: number | null;
  /** The next hop, null where the target is on the link. */
  readonly gateway: string | null;
  /** The source address that the kernel would choose. */
  readonly source: string | null;
  /** Bytes; null where the route says none, and that of the link counts. */
  readonly mtuBytes: number | null;
  /** The destination as it stands in the table, such as `172.17.0.0/16`; null where the kernel does not tell it. */
  readonly prefix: string | null;
}

export interface WayQuery {
  readonly address: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

/** The way, or the errno that stands in for it: ENETUNREACH, EHOSTUNREACH, EACCES (prohibit), EINVAL (blackhole). @throws {NetlinkError} */
export function readWay(conversation: Conversation, query: WayQuery): Way | { readonly errno: string } {
  try {
    const way = decodeWay(ask(conversation, RTM_GETROUTE, encode(query, 0)));
    return { ...way, prefix: prefixOf(conversation, query) };
  } catch (error) {
    if (isNativeError(error)) return { errno: error.code };
    throw error;
  }
}

function prefixOf(conversation: Conversation, query: WayQuery): string | null {
  try {
    return decodeWay(ask(conversation, RTM_GETROUTE, encode(query, RTM_F_FIB_MATCH))).prefix;
  } catch (error) {
    // An older kernel refuses to tell; the way is known all the same.
    if (isNativeError(error)) return null;
    throw error;
  }
}

function encode({ address, protocol, port }: WayQuery, flags: number): Buffer {
  const family = familyOf(address);
  const bytes = addressBytes(address);
  const header = Buffer.alloc(message.size);
  header[message.family] = family === 4 ? AF_INET : AF_INET6;
  header[message.destinationLength] = 8 * bytes.length;
  viewOf(header).setUint32(message.flags, flags, littleEndian);
  const parts = [header, encodeAttribute(RTA_DST, bytes)];
  const zone = /%(.+)$/.exec(address)?.[1];
  if (zone !== undefined) parts.push(encodeAttribute(RTA_OIF, wordOf(deviceIndex(zone))));
  const number = Buffer.alloc(2);
  number.writeUInt16BE(port);
  parts.push(encodeAttribute(RTA_IP_PROTO, Buffer.from([protocol === 'tcp' ? 6 : 17])));
  parts.push(encodeAttribute(RTA_DPORT, number));
  return Buffer.concat(parts);
}

function wordOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  viewOf(bytes).setUint32(0, value, littleEndian);
  return bytes;
}

/** @throws {NetlinkError} when it is cut off or of an unknown kind. */
export function decodeWay(body: Buffer): Way {
  if (body.length < message.size) throw new NetlinkError(`A route of ${body.length} bytes is cut off`);
  const family = body[message.family];
  const type = types[body[message.type] ?? 0];
  if (type === undefined || (family !== AF_INET && family !== AF_INET6))
    throw new NetlinkError(`A route of the unknown kind ${body[message.type]}, family ${family}`);
  const way = {
    type,
    deviceIndex: null as number | null,
    gateway: null as string | null,
    source: null as string | null,
    mtuBytes: null as number | null,
  };
  let destination: string | null = null;
  eachAttribute(body, message.size, (kind, value) => {
    if (kind === RTA_DST) destination = addressOf(value);
    else if (kind === RTA_OIF && value.length >= 4) way.deviceIndex = viewOf(value).getUint32(0, littleEndian);
    else if (kind === RTA_GATEWAY) way.gateway = addressOf(value);
    // struct rtvia: a gateway of the other family.
    else if (kind === RTA_VIA && value.length > 2) way.gateway = addressOf(value.subarray(2));
    else if (kind === RTA_PREFSRC) way.source = addressOf(value);
    else if (kind === RTA_METRICS)
      eachAttribute(value, 0, (metric, number) => {
        if (metric === RTAX_MTU && number.length >= 4) way.mtuBytes = viewOf(number).getUint32(0, littleEndian);
      });
  });
  const everything = family === AF_INET ? '0.0.0.0' : '::';
  const length = body[message.destinationLength] ?? 0;
  return { ...way, prefix: destination === null && length > 0 ? null : `${destination ?? everything}/${length}` };
}

/** The text of an address as the kernel writes it, or null when it has the length of none. */
export function addressOf(bytes: Buffer): string | null {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return null;
  return formatIpv6(Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index)));
}
