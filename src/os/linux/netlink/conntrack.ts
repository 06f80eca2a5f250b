/**
 * What conntrack knows of one connection: where its packets are sent in truth, after NAT (net/netfilter/nf_conntrack_netlink.c,
 * include/uapi/linux/netfilter/nfnetlink_conntrack.h). Only root of the network namespace may ask.
 */
import type { Address } from '../../../model/facts.ts';
import { isNativeError } from '../../errors.ts';
import { AF_INET, AF_INET6, addressBytes } from '../calls/sockaddr.ts';
import { eachAttribute, encodeAttribute } from './attributes.ts';
import { ask, type Conversation, NetlinkError } from './netlink.ts';
import { addressOf } from './routes.ts';

const IPCTNL_MSG_CT_GET = (1 << 8) | 1;
const headerSize = 4;
const nested = 0x8000;

const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;

/** Who answers to a connection of ours: its other end as the packets come back. Null when it is not tracked. @throws {NativeError} @throws {NetlinkError} */
export function answererOf(
  conversation: Conversation,
  protocol: 'tcp' | 'udp',
  from: Address,
  to: Address,
): Address | null {
  const isV6 = to.address.includes(':');
  const header = Buffer.from([isV6 ? AF_INET6 : AF_INET, 0, 0, 0]);
  const port = (number: number): Buffer => {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16BE(number);
    return bytes;
  };
  const [source, target] = isV6 ? [3, 4] : [1, 2];
  const addresses = Buffer.concat([
    encodeAttribute(source, addressBytes(from.address)),
    encodeAttribute(target, addressBytes(to.address)),
  ]);
  const ports = Buffer.concat([
    encodeAttribute(1, Buffer.from([protocol === 'tcp' ? 6 : 17])),
    encodeAttribute(2, port(from.port)),
    encodeAttribute(3, port(to.port)),
  ]);
  const tuple = Buffer.concat([
    encodeAttribute(CTA_TUPLE_IP | nested, addresses),
    encodeAttribute(CTA_TUPLE_PROTO | nested, ports),
  ]);
  try {
    const request = Buffer.concat([header, encodeAttribute(CTA_TUPLE_ORIG | nested, tuple)]);
    return decodeAnswerer(ask(conversation, IPCTNL_MSG_CT_GET, request));
  } catch (error) {
    if (isNativeError(error) && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** The source of the reply. @throws {NetlinkError} */
export function decodeAnswerer(body: Buffer): Address | null {
  if (body.length < headerSize) throw new NetlinkError(`A connection of ${body.length} bytes is cut off`);
  let address: string | null = null;
  let port: number | null = null;
  eachAttribute(body, headerSize, (type, tuple) => {
    if (type !== CTA_TUPLE_REPLY) return;
    eachAttribute(tuple, 0, (part, value) => {
      eachAttribute(value, 0, (field, bytes) => {
        if (part === CTA_TUPLE_IP && (field === 1 || field === 3)) address = addressOf(bytes);
        else if (part === CTA_TUPLE_PROTO && field === 2 && bytes.length >= 2) port = bytes.readUInt16BE(0);
      });
    });
  });
  return address === null || port === null ? null : { address, port };
}
