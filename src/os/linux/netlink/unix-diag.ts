/**
 * Unix sockets as the kernel shows them: sock_diag(7), include/uapi/linux/unix_diag.h, net/unix/diag.c.
 */
import type { UnixSocket } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { eachAttribute } from './attributes.ts';
import { type Conversation, dump, NetlinkError, viewOf } from './netlink.ts';
import { SOCK_DIAG_BY_FAMILY } from './sock-diag.ts';

const AF_UNIX = 1;

/** struct unix_diag_req. */
const request = { family: 0, states: 4, show: 12, size: 24 } as const;
/** struct unix_diag_msg. */
const message = { family: 0, type: 1, state: 2, inode: 4, size: 16 } as const;

const UDIAG_SHOW_NAME = 0x01;
const UDIAG_SHOW_VFS = 0x02;
const UDIAG_SHOW_RQLEN = 0x10;
const UDIAG_SHOW_UID = 0x40;

const UNIX_DIAG_NAME = 0;
const UNIX_DIAG_VFS = 1;
const UNIX_DIAG_RQLEN = 4;
const UNIX_DIAG_UID = 7;

const types: Readonly<Record<number, UnixSocket['type']>> = { 1: 'stream', 2: 'datagram', 5: 'seqpacket' };
/** include/net/tcp_states.h: only these three occur. A SYN_SENT never carries a name. */
const states: Readonly<Record<number, UnixSocket['state']>> = { 1: 'ESTABLISHED', 7: 'BOUND', 10: 'LISTEN' };

/** A named Unix socket. The name is as its maker wrote it: a relative path is relative to the maker's directory then. */
export interface NamedUnixSocket {
  readonly type: UnixSocket['type'];
  readonly state: UnixSocket['state'];
  /** Abstract names begin with NUL. */
  readonly name: Buffer;
  /** Which file it is: inode number and device as the kernel counts them. Null for an abstract name, and from /proc/net. */
  readonly file: { readonly inode: number; readonly device: number } | null;
  readonly inode: number;
  /** Null before Linux 5.3, and from /proc/net. */
  readonly uid: number | null;
  readonly queue: UnixSocket['queue'];
}

/**
 * Every Unix socket that has a name; the kernel offers no filter by name.
 *
 * @throws {NativeError} ENOENT when the kernel has no unix_diag. @throws {NetlinkError} for an answer that cannot be read.
 */
export function readUnixSockets(conversation: Conversation): { rows: NamedUnixSocket[]; interrupted: boolean } {
  const show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID;
  return dump(conversation, SOCK_DIAG_BY_FAMILY, encodeRequest(show), decodeUnixSocket);
}

/** Inode numbers of every Unix socket, named or not. @throws {NativeError} @throws {NetlinkError} */
export function readUnixInodes(conversation: Conversation): number[] {
  return dump(conversation, SOCK_DIAG_BY_FAMILY, encodeRequest(0), (body) => {
    if (body.length < message.size) throw new NetlinkError(`A Unix socket of ${body.length} bytes is cut off`);
    return viewOf(body).getUint32(message.inode, littleEndian);
  }).rows;
}

function encodeRequest(show: number): Buffer {
  const bytes = Buffer.alloc(request.size);
  const view = viewOf(bytes);
  bytes[request.family] = AF_UNIX;
  view.setUint32(request.states, 0xffff_ffff, littleEndian);
  view.setUint32(request.show, show, littleEndian);
  return bytes;
}

/**
 * Null for a socket without a name.
 *
 * @throws {NetlinkError}
 */
export function decodeUnixSocket(body: Buffer): NamedUnixSocket | null {
  if (body.length < message.size) throw new NetlinkError(`A Unix socket of ${body.length} bytes is cut off`);
  if (body[message.family] !== AF_UNIX)
    throw new NetlinkError(`A Unix socket of the unknown family ${body[message.family]}`);
  let name: Buffer | null = null;
  let file: NamedUnixSocket['file'] = null;
  let uid: number | null = null;
  let lengths: { waiting: number; limit: number } | null = null;
  eachAttribute(body, message.size, (type, value) => {
    if (type === UNIX_DIAG_NAME && value.length > 0) name = Buffer.from(trimPath(value));
    else if (type === UNIX_DIAG_VFS && value.length >= 8) {
      const [inode, device] = pair(value);
      file = { inode, device };
    } else if (type === UNIX_DIAG_RQLEN && value.length >= 8) {
      const [waiting, limit] = pair(value);
      lengths = { waiting, limit };
    } else if (type === UNIX_DIAG_UID && value.length >= 4) uid = viewOf(value).getUint32(0, littleEndian);
  });
  const kind = types[body[message.type] ?? 0];
  const state = states[body[message.state] ?? 0];
  if (name === null || kind === undefined || state === undefined) return null;
  return {
    type: kind,
    state,
    name,
    file,
    inode: viewOf(body).getUint32(message.inode, littleEndian),
    uid,
    queue: state === 'LISTEN' ? lengths : null,
  };
}

/** A path may come with the NUL byte that its maker counted; an abstract name is all its bytes. */
export function trimPath(name: Buffer): Buffer {
  if (name[0] === 0) return name;
  const end = name.indexOf(0);
  return end < 0 ? name : name.subarray(0, end);
}

function pair(value: Buffer): [number, number] {
  const view = viewOf(value);
  return [view.getUint32(0, littleEndian), view.getUint32(4, littleEndian)];
}
