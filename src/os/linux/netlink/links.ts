/**
 * One interface: rtnetlink(7), RTM_GETLINK, netdevice(7) (net/core/rtnetlink.c). Any user may ask.
 */
import { littleEndian } from '../../byte-order.ts';
import { isNativeError } from '../../errors.ts';
import { eachAttribute } from './attributes.ts';
import { ask, type Conversation, dump, NetlinkError, viewOf } from './netlink.ts';

const RTM_GETLINK = 18;

/** struct ifinfomsg. */
const message = { index: 4, flags: 8, size: 16 } as const;
const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_POINTOPOINT = 0x10;
/** Since Linux 2.6.17: the driver sees a cable, or the other end of a veth is up. */
const IFF_LOWER_UP = 0x1_0000;

const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;

export interface Link {
  readonly name: string;
  /** Somebody has switched it on (IFF_UP). */
  readonly up: boolean;
  /** It has a carrier: a cable, or the other end is up (IFF_LOWER_UP). */
  readonly carrier: boolean;
  readonly loopback: boolean;
  readonly pointToPoint: boolean;
  readonly mtuBytes: number | null;
  /** What it is made of, such as `bridge`, `veth`, `wireguard` or `tun`; null for hardware. */
  readonly kind: string | null;
}

/** Null when there is no such interface. @throws {NativeError} @throws {NetlinkError} */
export function readLink(conversation: Conversation, deviceIndex: number): Link | null {
  const header = Buffer.alloc(message.size);
  viewOf(header).setUint32(message.index, deviceIndex, littleEndian);
  try {
    return decodeLink(ask(conversation, RTM_GETLINK, header));
  } catch (error) {
    if (isNativeError(error) && error.code === 'ENODEV') return null;
    throw error;
  }
}

/** Every interface. @throws {NativeError} @throws {NetlinkError} */
export function readLinks(conversation: Conversation): Link[] {
  return dump(conversation, RTM_GETLINK, Buffer.alloc(message.size), decodeLink).rows;
}

/** @throws {NetlinkError} when it is cut off. */
export function decodeLink(body: Buffer): Link {
  if (body.length < message.size) throw new NetlinkError(`An interface of ${body.length} bytes is cut off`);
  const flags = viewOf(body).getUint32(message.flags, littleEndian);
  let name = '';
  let mtuBytes: number | null = null;
  let kind: string | null = null;
  eachAttribute(body, message.size, (type, value) => {
    if (type === IFLA_IFNAME) name = textOf(value);
    else if (type === IFLA_MTU && value.length >= 4) mtuBytes = viewOf(value).getUint32(0, littleEndian);
    else if (type === IFLA_LINKINFO)
      eachAttribute(value, 0, (inner, text) => {
        if (inner === IFLA_INFO_KIND) kind = textOf(text);
      });
  });
  return {
    name,
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    pointToPoint: (flags & IFF_POINTOPOINT) !== 0,
    mtuBytes,
    kind,
  };
}

/** The kernel counts the NUL byte at the end. */
function textOf(value: Buffer): string {
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}
