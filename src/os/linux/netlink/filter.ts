/**
 * Classic BPF programs on sockets (Documentation/networking/filter.rst): the kernel looks, so that this process need not wake up.
 */

import { littleEndian } from '../../byte-order.ts';
import { libc } from '../calls/libc.ts';
import { pointerSize } from '../calls/message.ts';

// include/uapi/asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;

/** One instruction (linux/filter.h): code, jump if true, jump if false, operand. */
export type Instruction = readonly [number, number, number, number];

/** Attaches a program to a socket. Returns the errno, 0 when it is attached. */
export function attachFilter(fd: number, instructions: readonly Instruction[]): number {
  const program = Buffer.from(new ArrayBuffer(instructions.length * 8));
  const view = new DataView(program.buffer);
  for (const [index, [code, jumpTrue, jumpFalse, operand]] of instructions.entries()) {
    view.setUint16(index * 8, code, littleEndian);
    view.setUint8(index * 8 + 2, jumpTrue);
    view.setUint8(index * 8 + 3, jumpFalse);
    view.setUint32(index * 8 + 4, operand, littleEndian);
  }
  // struct sock_fprog: a length, then a pointer at its natural alignment.
  const header = Buffer.from(new ArrayBuffer(2 * pointerSize));
  const headerView = new DataView(header.buffer);
  headerView.setUint16(0, instructions.length, littleEndian);
  const address = libc().address(program);
  if (pointerSize === 8) headerView.setBigUint64(8, address, littleEndian);
  else headerView.setUint32(4, Number(address), littleEndian);
  const result = libc().setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, header, header.length);
  const errno = result === -1 ? libc().errno() : 0;
  keepAlive(program);
  return errno;
}

/** The kernel read through an address that the collector does not see: the buffer must live until here. */
function keepAlive(_buffer: Buffer): void {}
