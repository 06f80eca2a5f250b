/**
 * What the kernel knows of the machines on its links: rtnetlink(7), RTM_GETNEIGH, arp(7) (net/core/neighbour.c). Any user may ask.
 */
import { familyOf } from '../../../model/address.ts';
import { littleEndian } from '../../byte-order.ts';
import { AF_INET, AF_INET6 } from '../calls/sockaddr.ts';
import { eachAttribute } from './attributes.ts';
import { type Conversation, dump, NetlinkError, viewOf } from './netlink.ts';
import { addressOf } from './routes.ts';

const RTM_GETNEIGH = 30;

/** struct ndmsg. */
const message = { family: 0, index: 4, state: 8, size: 12 } as const;
const NDA_DST = 1;
const NDA_LLADDR = 2;

/** NUD_… in include/uapi/linux/neighbour.h. */
const states: Readonly<Record<number, NeighbourState>> = {
  1: 'INCOMPLETE',
  2: 'REACHABLE',
  4: 'STALE',
  8: 'DELAY',
  16: 'PROBE',
  32: 'FAILED',
  64: 'NOARP',
  128: 'PERMANENT',
};
export type NeighbourState =
  | 'INCOMPLETE'
  | 'REACHABLE'
  | 'STALE'
  | 'DELAY'
  | 'PROBE'
  | 'FAILED'
  | 'NOARP'
  | 'PERMANENT';

/** A machine on the link. `INCOMPLETE` and `FAILED`: it does not answer. */
export interface Neighbour {
  readonly address: string;
  readonly deviceIndex: number;
  readonly state: NeighbourState;
  /** Such as `02:42:ac:11:00:02`; null while nobody answered. */
  readonly hardwareAddress: string | null;
}

/** The entry of one address on one interface, null when the kernel has none. @throws {NativeError} @throws {NetlinkError} */
export function readNeighbour(conversation: Conversation, address: string, deviceIndex: number): Neighbour | null {
  const header = Buffer.alloc(message.size);
  header[message.family] = familyOf(address) === 4 ? AF_INET : AF_INET6;
  const { rows } = dump(conversation, RTM_GETNEIGH, header, decodeNeighbour);
  const plain = address.replace(/%.*$/, '');
  return rows.find((row) => row.address === plain && row.deviceIndex === deviceIndex) ?? null;
}

/** Null for an entry without an address or of another family. @throws {NetlinkError} */
export function decodeNeighbour(body: Buffer): Neighbour | null {
  if (body.length < message.size) throw new NetlinkError(`A neighbour of ${body.length} bytes is cut off`);
  const view = viewOf(body);
  let address: string | null = null;
  let hardwareAddress: string | null = null;
  eachAttribute(body, message.size, (type, value) => {
    if (type === NDA_DST) address = addressOf(value);
    else if (type === NDA_LLADDR && value.length > 0 && value.length <= 32)
      hardwareAddress = (value.toString('hex').match(/../g) ?? []).join(':');
  });
  const state = states[view.getUint16(message.state, littleEndian)];
  if (address === null || state === undefined) return null;
  return { address, deviceIndex: view.getUint32(message.index, littleEndian), state, hardwareAddress };
}
