/**
 * struct msghdr and its control messages (recvmsg(2), cmsg(3)), whose fields are as wide as a pointer of this machine.
 */
import { littleEndian } from '../../byte-order.ts';
import { libc } from './libc.ts';

export const pointerSize = ['arm', 'ia32', 'mipsel'].includes(process.arch) ? 4 : 8;

/** Lays out struct msghdr: name, namelen, iov, iovlen, control, controllen, flags, each as wide as a pointer. */
export function withMessage(data: Buffer, control: Buffer, call: (message: Buffer) => number): number {
  const vector = Buffer.alloc(2 * pointerSize);
  writeWord(vector, 0, libc().address(data));
  writeWord(vector, pointerSize, data.length);
  const message = Buffer.alloc(7 * pointerSize);
  writeWord(message, 2 * pointerSize, libc().address(vector));
  writeWord(message, 3 * pointerSize, 1);
  if (control.length > 0) writeWord(message, 4 * pointerSize, libc().address(control));
  writeWord(message, 5 * pointerSize, control.length);
  const result = call(message);
  // The kernel wrote through addresses that the collector does not see: the buffers must live until here.
  keepAlive(data, control, vector);
  return result;
}

function keepAlive(..._buffers: Buffer[]): void {}

export function align(length: number): number {
  return (length + pointerSize - 1) & ~(pointerSize - 1);
}

export function writeWord(bytes: Buffer, at: number, value: number | bigint): void {
  if (pointerSize === 4) writeInt(bytes, at, Number(value) | 0);
  else if (littleEndian) bytes.writeBigUInt64LE(BigInt(value), at);
  else bytes.writeBigUInt64BE(BigInt(value), at);
}

export function wordAt(bytes: Buffer, at: number): number {
  if (pointerSize === 4) return intAt(bytes, at);
  return Number(littleEndian ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
}

export function writeInt(bytes: Buffer, at: number, value: number): void {
  if (littleEndian) bytes.writeInt32LE(value, at);
  else bytes.writeInt32BE(value, at);
}

export function intAt(bytes: Buffer, at: number): number {
  return littleEndian ? bytes.readInt32LE(at) : bytes.readInt32BE(at);
}

/** Where recvmsg left the length of the control messages, and its flags. */
export function resultOf(message: Buffer): { readonly controlLength: number; readonly flags: number } {
  return { controlLength: wordAt(message, 5 * pointerSize), flags: intAt(message, 6 * pointerSize) };
}

/** Calls back for every control message, with a part of `control`; stops at one that is cut off. */
export function eachControl(control: Buffer, onControl: (level: number, type: number, data: Buffer) => void): void {
  const header = pointerSize + 8;
  for (let at = 0; at + header <= control.length; ) {
    const length = wordAt(control, at);
    if (length < header || at + length > control.length) return;
    const level = intAt(control, at + pointerSize);
    onControl(level, intAt(control, at + pointerSize + 4), control.subarray(at + header, at + length));
    at += align(length);
  }
}
