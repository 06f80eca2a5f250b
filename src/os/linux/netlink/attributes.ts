/**
 * Netlink attributes: type, length, value, padded to four bytes (include/uapi/linux/netlink.h, struct nlattr).
 */

import { littleEndian } from '../../byte-order.ts';
import { NetlinkError, viewOf } from './netlink.ts';

const headerSize = 4;
/** NLA_F_NESTED and NLA_F_NET_BYTEORDER are flags in the type. */
const typeMask = 0x3fff;

/** Writes one attribute, padded. */
export function encodeAttribute(type: number, value: Buffer): Buffer {
  const bytes = Buffer.alloc((headerSize + value.length + 3) & ~3);
  const view = viewOf(bytes);
  view.setUint16(0, headerSize + value.length, littleEndian);
  view.setUint16(2, type, littleEndian);
  value.copy(bytes, headerSize);
  return bytes;
}

/**
 * Calls back for every attribute from `at` to the end; the value is a part of `bytes`.
 *
 * @throws {NetlinkError} when an attribute says that it is longer than what is left, or shorter than its own header.
 */
export function eachAttribute(bytes: Buffer, at: number, onAttribute: (type: number, value: Buffer) => void): void {
  const view = viewOf(bytes);
  let from = at;
  while (bytes.length - from >= headerSize) {
    const length = view.getUint16(from, littleEndian);
    if (length < headerSize || length > bytes.length - from)
      throw new NetlinkError(`An attribute says it is ${length} bytes long where ${bytes.length - from} are left`);
    onAttribute(view.getUint16(from + 2, littleEndian) & typeMask, bytes.subarray(from + headerSize, from + length));
    from += (length + 3) & ~3;
  }
}
