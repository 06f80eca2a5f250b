/**
 * Netlink framing: requests out, messages in (netlink(7), include/uapi/linux/netlink.h).
 * It knows nothing of what a message says, and makes no system call: a conversation is an argument, so a test can be the kernel.
 */

import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';

// struct nlmsghdr: length u32, type u16, flags u16, sequence u32, sender u32
const headerSize = 16;

const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_OVERRUN = 4;

const NLM_F_REQUEST = 0x01;
const NLM_F_DUMP_INTR = 0x10;
const NLM_F_DUMP = 0x300;

/** One dump holds at most this many messages; a machine has fewer sockets on one port, a hostile answer has no end. */
const maxMessages = 2_000_000;

/** How often a dump is read again when the kernel says that its tables changed meanwhile. */
const maxAttempts = 5;

/** The kernel's side of a conversation. `receive` returns one datagram, valid until the next call. */
export interface Conversation {
  send(request: Buffer): void;
  receive(): Buffer;
}

/** What came from the kernel is not what its headers promise. */
export class NetlinkError extends Error {
  override readonly name = 'NetlinkError';
  readonly code = 'ERR_REBIND_NETLINK';
}

/** Writes a dump request with its header. */
export function encodeDump(type: number, sequence: number, payload: Buffer): Buffer {
  return encode(type, NLM_F_REQUEST | NLM_F_DUMP, sequence, payload);
}

function encode(type: number, flags: number, sequence: number, payload: Buffer): Buffer {
  const bytes = Buffer.alloc(headerSize + payload.length);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length, littleEndian);
  view.setUint16(4, type, littleEndian);
  view.setUint16(6, flags, littleEndian);
  view.setUint32(8, sequence, littleEndian);
  payload.copy(bytes, headerSize);
  return bytes;
}

/**
 * Asks for a dump and decodes every message of it. A dump that the kernel marks as interrupted is read again.
 *
 * @param decode Takes the bytes behind the header, valid during the call; null leaves the message out.
 * @returns The rows, and whether the last attempt was interrupted too.
 * @throws {NativeError} with the kernel's errno. @throws {NetlinkError} for an answer that cannot be read.
 */
export function dump<T>(
  conversation: Conversation,
  type: number,
  payload: Buffer,
  decode: (body: Buffer) => T | null,
): { rows: T[]; interrupted: boolean } {
  for (let attempt = 1; ; attempt++) {
    const rows: T[] = [];
    const sequence = nextSequence();
    conversation.send(encodeDump(type, sequence, payload));
    const interrupted = readDump(conversation, sequence, (body) => {
      const row = decode(body);
      if (row !== null) rows.push(row);
    });
    if (!interrupted || attempt === maxAttempts) return { rows, interrupted };
  }
}

/** A question about one thing is answered by one message; more than this came from elsewhere. */
const mostDatagrams = 16;

/**
 * Asks about one thing, without a dump.
 *
 * @returns The body of the answer, valid until the next question.
 * @throws {NativeError} with the kernel's errno, which is the answer where there is no such thing. @throws {NetlinkError}
 */
export function ask(conversation: Conversation, type: number, payload: Buffer): Buffer {
  const sequence = nextSequence();
  conversation.send(encode(type, NLM_F_REQUEST, sequence, payload));
  for (let count = 0; count < mostDatagrams; count++) {
    const datagram = conversation.receive();
    if (datagram.length < headerSize) throw new NetlinkError('The kernel answered with less than a header');
    const view = viewOf(datagram);
    const length = view.getUint32(0, littleEndian);
    if (length < headerSize || length > datagram.length)
      throw new NetlinkError(`A netlink message says it is ${length} bytes long where ${datagram.length} are left`);
    if (view.getUint32(8, littleEndian) !== sequence) continue;
    const body = datagram.subarray(headerSize, length);
    const answered = view.getUint16(4, littleEndian);
    if (answered === NLMSG_ERROR) throwErrno(body, answered);
    if (answered <= NLMSG_OVERRUN) throw new NetlinkError(`One thing cannot be told by a message of type ${answered}`);
    return body;
  }
  throw new NetlinkError('The kernel answered other questions only');
}

let lastSequence = 0;

function nextSequence(): number {
  lastSequence = lastSequence === 0xffff_ffff ? 1 : lastSequence + 1;
  return lastSequence;
}

/** True when the kernel marked the dump as interrupted. */
function readDump(conversation: Conversation, wanted: number, onMessage: (body: Buffer) => void): boolean {
  let interrupted = false;
  let count = 0;
  for (;;) {
    const datagram = conversation.receive();
    if (datagram.length < headerSize) throw new NetlinkError('The kernel answered with less than a header');
    const view = viewOf(datagram);
    for (let at = 0; at < datagram.length; ) {
      if (datagram.length - at < headerSize) throw new NetlinkError('A netlink header is cut off');
      const length = view.getUint32(at, littleEndian);
      if (length < headerSize || length > datagram.length - at)
        throw new NetlinkError(
          `A netlink message says it is ${length} bytes long where ${datagram.length - at} are left`,
        );
      if (++count > maxMessages) throw new NetlinkError(`The answer does not end after ${maxMessages} messages`);
      const body = datagram.subarray(at + headerSize, at + length);
      const type = view.getUint16(at + 4, littleEndian);
      const mine = view.getUint32(at + 8, littleEndian) === wanted;
      if (mine && (view.getUint16(at + 6, littleEndian) & NLM_F_DUMP_INTR) !== 0) interrupted = true;
      // What another question left behind is counted, so that it cannot go on for ever, and passed over.
      if (mine && type === NLMSG_DONE) {
        throwErrno(body, type);
        return interrupted;
      }
      if (mine && type === NLMSG_ERROR) throwErrno(body, type);
      if (mine && type === NLMSG_OVERRUN) throw new NetlinkError('The kernel lost a part of its answer');
      if (mine && type > NLMSG_OVERRUN) onMessage(body);
      else if (mine && type !== NLMSG_NOOP) throw new NetlinkError(`A dump cannot hold a message of type ${type}`);
      at += (length + 3) & ~3;
    }
  }
}

/** NLMSG_DONE and NLMSG_ERROR begin with a negative errno. An acknowledgement (0) cannot end a dump. */
function throwErrno(body: Buffer, type: number): void {
  if (body.length < 4) {
    // NLMSG_DONE carried nothing in the oldest kernels.
    if (type === NLMSG_DONE) return;
    throw new NetlinkError('A netlink error without its number');
  }
  const errno = -viewOf(body).getInt32(0, littleEndian);
  if (errno > 0 && errno < 4096) throw new NativeError('netlink', errno);
  if (type === NLMSG_ERROR || errno !== 0)
    throw new NetlinkError(`The kernel answered a dump with the number ${-errno}`);
}

/** A view of a buffer's own bytes. */
export function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
