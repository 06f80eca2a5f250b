import { formatIpv6 } from '../../../model/address.ts';
import type { InetSocket, LinuxSocket, SocketState } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { tcpStates } from '../tcp-states.ts';
import { eachAttribute, encodeAttribute } from './attributes.ts';
import { type Conversation, dump, NetlinkError, viewOf } from './netlink.ts';

/** Asks for TCP of both families at once (the request of the first version, whose family the kernel leaves open). */
const TCPDIAG_GETSOCK = 18;
export const SOCK_DIAG_BY_FAMILY = 20;

const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;

/** struct inet_diag_sockid, from its own start. Ports and addresses are in network order. */
export const socketId = {
  sourcePort: 0,
  remotePort: 2,
  source: 4,
  remote: 20,
  device: 36,
  cookie: 40,
  size: 48,
} as const;

/** struct inet_diag_req. */
const requestV1 = { family: 0, extensions: 3, id: 4, states: 52, size: 60 } as const;

/** struct inet_diag_req_v2. */
export const requestV2 = { family: 0, protocol: 1, extensions: 2, states: 4, id: 8, size: 56 } as const;

/** struct inet_diag_msg. */
export const message = {
  family: 0,
  state: 1,
  timer: 2,
  retransmits: 3,
  id: 4,
  expires: 52,
  receiveQueue: 56,
  sendQueue: 60,
  uid: 64,
  inode: 68,
  size: 72,
} as const;

// Attributes of an answer.
const INET_DIAG_INFO = 2;
const INET_DIAG_SKV6ONLY = 11;
const INET_DIAG_ULP_INFO = 19;
const INET_DIAG_CGROUP_ID = 21;
const INET_ULP_INFO_NAME = 1;

/** The parts of struct tcp_info that tell who connected (include/uapi/linux/tcp.h). */
const tcpInfo = {
  options: 5,
  unacknowledged: 24,
  bytesAcknowledged: 120,
  bytesSent: 200,
  bytesRetransmitted: 208,
  size: 216,
} as const;
/** A SYN that carried data (TCP Fast Open), which makes the count below say nothing. */
const TCPI_OPT_SYN_DATA = 32;

// What a request asks for besides.
const INET_DIAG_REQ_BYTECODE = 1;

// Operations of the filter that runs in the kernel.
const INET_DIAG_BC_S_GE = 2;
const INET_DIAG_BC_S_LE = 3;
const INET_DIAG_BC_AUTO = 6;

/** idiag_timer of a TIME_WAIT structure (inet_twsk_diag_fill). */
const timeWaitTimer = 3;

/** By number. CLOSE is a bound socket here: the kernel shows no other. */
export const stateNames: readonly (SocketState | undefined)[] = [
  undefined,
  ...tcpStates.map((state) => (state === 'CLOSE' ? 'BOUND' : state === 'NEW_SYN_RECV' ? 'SYN_RECV' : state)),
  // TCP_BOUND_INACTIVE.
  'BOUND',
];

/** Bits of idiag_states. */
export const stateBits = {
  ESTABLISHED: 1 << 1,
  CLOSE: 1 << 7,
  LISTEN: 1 << 10,
  /** TCPF_BOUND_INACTIVE, Linux 6.8: bound sockets that do not listen. Older kernels ignore it. */
  BOUND_INACTIVE: 1 << 13,
  all: 0x3fff,
} as const;

/** What to ask for. */
export interface DiagQuery {
  readonly protocol: 'tcp' | 'udp';
  /** Bits of `stateBits`. */
  readonly states: number;
  /** Only sockets with this local port, chosen inside the kernel. */
  readonly port: number | null;
  /** Only sockets whose port was chosen automatically. Children, mini and request sockets always pass. */
  readonly automaticOnly?: boolean;
}

/** A socket as it was read; the device is a number until somebody looks up its name. */
export interface DiagSocket extends Omit<InetSocket, 'device' | 'linux'> {
  readonly deviceIndex: number;
  readonly linux: LinuxSocket;
}

/**
 * Every socket that the query describes.
 *
 * @throws {NativeError} ENOENT when the kernel has no sock_diag for this protocol. @throws {NetlinkError} for an answer that cannot be read.
 */
export function readSockets(
  conversation: Conversation,
  query: DiagQuery,
): { rows: DiagSocket[]; interrupted: boolean } {
  // The kernel tells the name of the protocol above TCP (mptcp) only together with INFO.
  const extension = query.protocol === 'tcp' ? INET_DIAG_INFO : 0;
  const parts = dumpParts(conversation, query, extension, (body) => decodeSocket(body, query.protocol));
  const rows: DiagSocket[] = [];
  // The kernel has filtered already; one that does not know the filter would answer with everything.
  for (const part of parts)
    for (const row of part.rows) if (query.port === null || row.local.port === query.port) rows.push(row);
  return { rows, interrupted: parts.some((part) => part.interrupted) };
}

/** Of TCP both families come at once, which walks the tables once. @param extension The attribute that is asked for besides, 0 for none. */
export function dumpParts<T>(
  conversation: Conversation,
  query: DiagQuery,
  extension: number,
  decode: (body: Buffer) => T,
): { rows: T[]; interrupted: boolean }[] {
  const bits = extension === 0 ? 0 : 1 << (extension - 1);
  if (query.protocol === 'tcp') return [dump(conversation, TCPDIAG_GETSOCK, encodeRequestV1(query, bits), decode)];
  return [AF_INET, AF_INET6].map((family) => {
    const request = queryBody(query, family);
    request[requestV2.extensions] = bits;
    return dump(conversation, SOCK_DIAG_BY_FAMILY, request, decode);
  });
}

/** Every TCP connection, also one that is closing, to this port of whatever address. @throws {NativeError} @throws {NetlinkError} */
export function readTowards(conversation: Conversation, remotePort: number): DiagSocket[] {
  const states = stateBits.all & ~(stateBits.LISTEN | stateBits.CLOSE | stateBits.BOUND_INACTIVE);
  return [AF_INET, AF_INET6].flatMap((family) => {
    const request = queryBody({ protocol: 'tcp', states, port: null }, family);
    viewOf(request).setUint16(requestV2.id + socketId.remotePort, remotePort);
    const { rows } = dump(conversation, SOCK_DIAG_BY_FAMILY, request, (body) => decodeSocket(body, 'tcp'));
    return rows.filter(({ remote }) => remote?.port === remotePort);
  });
}

function encodeRequestV1(query: DiagQuery, extensions: number): Buffer {
  const bytes = Buffer.alloc(requestV1.size);
  bytes[requestV1.extensions] = extensions;
  viewOf(bytes).setUint32(requestV1.states, query.states, littleEndian);
  setPort(bytes, requestV1.id, query.port);
  return withFilter(bytes, query);
}

/** The question for one family (struct inet_diag_req_v2), with its filter. */
function queryBody(query: DiagQuery, family: number): Buffer {
  const bytes = Buffer.alloc(requestV2.size);
  bytes[requestV2.family] = family;
  bytes[requestV2.protocol] = query.protocol === 'tcp' ? IPPROTO_TCP : IPPROTO_UDP;
  viewOf(bytes).setUint32(requestV2.states, query.states, littleEndian);
  setPort(bytes, requestV2.id, query.port);
  return withFilter(bytes, query);
}

/** The kernel compares this first, in all tables but that of bound sockets, where only the filter counts (inet_diag_dump_icsk). */
function setPort(bytes: Buffer, id: number, port: number | null): void {
  if (port !== null) viewOf(bytes).setUint16(id + socketId.sourcePort, port);
}

function withFilter(request: Buffer, query: DiagQuery): Buffer {
  const filter = encodeFilter(query.port, query.automaticOnly ?? false);
  return filter.length === 0 ? request : Buffer.concat([request, encodeAttribute(INET_DIAG_REQ_BYTECODE, filter)]);
}

/**
 * The filter as struct inet_diag_bc_op: code u8, yes u8, no u16, where yes and no are distances forward in bytes.
 * Arriving exactly at the end accepts a socket; four bytes beyond it refuses it. Port equality is spelled as
 * "not below and not above", because INET_DIAG_BC_S_EQ is younger (Linux 4.20).
 */
export function encodeFilter(port: number | null, automaticOnly: boolean): Buffer {
  const operations: { code: number; value: number | null }[] = [];
  if (port !== null)
    operations.push({ code: INET_DIAG_BC_S_GE, value: port }, { code: INET_DIAG_BC_S_LE, value: port });
  if (automaticOnly) operations.push({ code: INET_DIAG_BC_AUTO, value: null });
  const sizeOf = (value: number | null): number => (value === null ? 4 : 8);
  let left = operations.reduce((sum, { value }) => sum + sizeOf(value), 0);
  const bytes = Buffer.alloc(left);
  const view = viewOf(bytes);
  let at = 0;
  for (const { code, value } of operations) {
    const size = sizeOf(value);
    view.setUint8(at, code);
    view.setUint8(at + 1, size);
    view.setUint16(at + 2, left + 4, littleEndian);
    if (value !== null) view.setUint16(at + 6, value, littleEndian);
    at += size;
    left -= size;
  }
  return bytes;
}

/**
 * Reads one struct inet_diag_msg and its attributes.
 *
 * @throws {NetlinkError} when it is cut off or says something impossible.
 */
export function decodeSocket(body: Buffer, protocol: 'tcp' | 'udp'): DiagSocket {
  if (body.length < message.size) throw new NetlinkError(`A socket of ${body.length} bytes is cut off`);
  const view = viewOf(body);
  const familyNumber = view.getUint8(message.family);
  if (familyNumber !== AF_INET && familyNumber !== AF_INET6)
    throw new NetlinkError(`A socket of the unknown family ${familyNumber}`);
  const family = familyNumber === AF_INET ? 4 : 6;
  const state = stateNames[view.getUint8(message.state)];
  if (state === undefined) throw new NetlinkError(`A socket in the unknown state ${view.getUint8(message.state)}`);
  const inode = view.getUint32(message.inode, littleEndian);
  const uid = view.getUint32(message.uid, littleEndian);
  const remotePort = view.getUint16(message.id + socketId.remotePort);
  const mini = view.getUint8(message.timer) === timeWaitTimer && inode === 0;
  const listening = state === 'LISTEN';
  const said = decodeAttributes(body);
  return {
    protocol,
    family,
    state,
    local: {
      address: readAddress(view, message.id + socketId.source, family),
      port: view.getUint16(message.id + socketId.sourcePort),
    },
    remote:
      remotePort === 0 ? null : { address: readAddress(view, message.id + socketId.remote, family), port: remotePort },
    uid,
    inode,
    reuseAddress: null,
    reusePort: null,
    v6Only: family === 4 ? false : said.v6Only,
    deviceIndex: view.getUint32(message.id + socketId.device, littleEndian),
    autoPort: null,
    expiresInMs: mini ? view.getUint32(message.expires, littleEndian) : null,
    queue:
      listening && protocol === 'tcp'
        ? {
            waiting: view.getUint32(message.receiveQueue, littleEndian),
            limit: view.getUint32(message.sendQueue, littleEndian),
          }
        : null,
    direction: state === 'ESTABLISHED' || state === 'CLOSE_WAIT' ? said.direction : null,
    linux: {
      cookie: hex(view, message.id + socketId.cookie + 4) + hex(view, message.id + socketId.cookie),
      mini,
      cgroupId: said.cgroupId,
      mptcp: said.mptcp,
    },
  };
}

/** What only attributes tell. */
interface Said {
  v6Only: boolean | null;
  cgroupId: string | null;
  mptcp: boolean;
  direction: InetSocket['direction'];
}

function decodeAttributes(body: Buffer): Said {
  const said: Said = { v6Only: null, cgroupId: null, mptcp: false, direction: null };
  eachAttribute(body, message.size, (type, value) => {
    if (type === INET_DIAG_SKV6ONLY && value.length >= 1) said.v6Only = value[0] !== 0;
    else if (type === INET_DIAG_CGROUP_ID && value.length >= 8)
      said.cgroupId = String(viewOf(value).getBigUint64(0, littleEndian));
    else if (type === INET_DIAG_INFO) said.direction = directionOf(value);
    else if (type === INET_DIAG_ULP_INFO)
      eachAttribute(value, 0, (inner, name) => {
        if (inner === INET_ULP_INFO_NAME && name.toString('latin1').startsWith('mptcp')) said.mptcp = true;
      });
  });
  return said;
}

/**
 * Who sent the SYN of an open connection. The kernel counts it among the acknowledged bytes of the side that connects
 * (tcp_rcv_synsent_state_process), and not on the side that accepts (tcp_create_openreq_child).
 */
function directionOf(info: Buffer): InetSocket['direction'] {
  if (info.length < tcpInfo.size || ((info[tcpInfo.options] ?? 0) & TCPI_OPT_SYN_DATA) !== 0) return null;
  const view = viewOf(info);
  const acknowledged = view.getBigUint64(tcpInfo.bytesAcknowledged, littleEndian);
  const sent =
    view.getBigUint64(tcpInfo.bytesSent, littleEndian) - view.getBigUint64(tcpInfo.bytesRetransmitted, littleEndian);
  if (acknowledged > sent) return 'outgoing';
  return acknowledged === sent && view.getUint32(tcpInfo.unacknowledged, littleEndian) === 0 ? 'incoming' : null;
}

function readAddress(view: DataView, at: number, family: 4 | 6): string {
  if (family === 4)
    return `${view.getUint8(at)}.${view.getUint8(at + 1)}.${view.getUint8(at + 2)}.${view.getUint8(at + 3)}`;
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push(view.getUint16(at + 2 * i));
  return formatIpv6(groups);
}

function hex(view: DataView, at: number): string {
  return view.getUint32(at, littleEndian).toString(16).padStart(8, '0');
}
