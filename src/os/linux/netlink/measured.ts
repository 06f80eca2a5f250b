/**
 * One socket with what the kernel counts about it: its queues, what it dropped, how often it sent again. sock_diag(7),
 * struct inet_diag_msg and INET_DIAG_SKMEMINFO (net/ipv4/inet_diag.c; enum in include/uapi/linux/sock_diag.h). Any user may ask.
 *
 * The exact look-up is the one that a packet meets (inet_lookup, udp_dump_one): it tells which listener, and which member of a
 * SO_REUSEPORT group, would get a client of this address and port. Nothing is sent. A firewall, and a redirection by BPF, come before it.
 */
import type { Address } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { isNativeError } from '../../errors.ts';
import { AF_INET, AF_INET6, addressBytes } from '../calls/sockaddr.ts';
import { eachAttribute } from './attributes.ts';
import { ask, type Conversation, viewOf } from './netlink.ts';
import {
  type DiagQuery,
  type DiagSocket,
  decodeSocket,
  dumpParts,
  message,
  requestV2,
  SOCK_DIAG_BY_FAMILY,
  socketId,
} from './sock-diag.ts';

/** INET_DIAG_SKMEMINFO: nine numbers of four bytes, the last is sk_drops. Older kernels have fewer. */
const INET_DIAG_SKMEMINFO = 7;
const SK_MEMINFO_DROPS = 8;

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/** A socket and its counts. */
export interface MeasuredSocket {
  readonly socket: DiagSocket;
  /** Of a listener the connections that wait to be accepted; else bytes that its process has not read. */
  readonly receiveQueue: number;
  /** Of a listener how many may wait: it is full when more do. Else bytes that were not acknowledged. */
  readonly sendQueue: number;
  /** How often the oldest segment was sent again. */
  readonly retransmits: number;
  /** What the socket itself refused since it was made (sk_drops): of a listener requests for connections. Null before Linux 4.7. */
  readonly drops: number | null;
}

/** Every socket of the query with its counts. @throws {NativeError} @throws {NetlinkError} */
export function readMeasured(conversation: Conversation, query: DiagQuery): MeasuredSocket[] {
  const parts = dumpParts(conversation, query, INET_DIAG_SKMEMINFO, (body) => decodeMeasured(body, query.protocol));
  // A kernel that does not know the filter answers with everything.
  return parts.flatMap(({ rows }) =>
    rows.filter(({ socket }) => query.port === null || socket.local.port === query.port),
  );
}

/** A packet: where it comes from, where it goes, and the interface it comes in by. */
export interface Meeting {
  readonly protocol: 'tcp' | 'udp';
  readonly from: Address;
  readonly to: Address;
  /** 0 for any. */
  readonly deviceIndex: number;
}

/**
 * The socket that would get this packet: the connection if there is one, else the listener that would. Null when there is none.
 *
 * @throws {NativeError} @throws {NetlinkError}
 */
export function lookUp(
  conversation: Conversation,
  { protocol, from, to, deviceIndex }: Meeting,
): MeasuredSocket | null {
  const request = Buffer.alloc(requestV2.size);
  const view = viewOf(request);
  request[requestV2.family] = to.address.includes(':') ? AF_INET6 : AF_INET;
  request[requestV2.protocol] = protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP;
  request[requestV2.extensions] = 1 << (INET_DIAG_SKMEMINFO - 1);
  view.setUint32(requestV2.states, 0xffff_ffff, littleEndian);
  // Of UDP the two ends are swapped "for historical reasons" (udp_dump_one).
  const [source, remote] = protocol === 'tcp' ? [to, from] : [from, to];
  view.setUint16(requestV2.id + socketId.sourcePort, source.port);
  view.setUint16(requestV2.id + socketId.remotePort, remote.port);
  request.set(addressBytes(source.address), requestV2.id + socketId.source);
  request.set(addressBytes(remote.address), requestV2.id + socketId.remote);
  view.setUint32(requestV2.id + socketId.device, deviceIndex, littleEndian);
  // INET_DIAG_NOCOOKIE
  request.fill(0xff, requestV2.id + socketId.cookie);
  try {
    return decodeMeasured(ask(conversation, SOCK_DIAG_BY_FAMILY, request), protocol);
  } catch (error) {
    if (isNativeError(error) && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** @throws {NetlinkError} when it is cut off or says something impossible. */
export function decodeMeasured(body: Buffer, protocol: 'tcp' | 'udp'): MeasuredSocket {
  const socket = decodeSocket(body, protocol);
  const view = viewOf(body);
  let drops: number | null = null;
  eachAttribute(body, message.size, (type, value) => {
    const at = 4 * SK_MEMINFO_DROPS;
    if (type === INET_DIAG_SKMEMINFO && value.length >= at + 4) drops = viewOf(value).getUint32(at, littleEndian);
  });
  return {
    socket,
    receiveQueue: view.getUint32(message.receiveQueue, littleEndian),
    sendQueue: view.getUint32(message.sendQueue, littleEndian),
    retransmits: body[message.retransmits] ?? 0,
    drops,
  };
}
