/**
 * Keeps new connections away from a listening socket for a moment, without losing those that wait in its queue.
 *
 * Closing a listener resets every connection that the kernel has completed and the program has not yet accepted. A socket filter
 * that drops SYN packets lets the queue run dry first. A client whose SYN was dropped asks again after a second (RFC 6298 §2).
 */
import { NativeError } from '../../errors.ts';
import { attachFilter, type Instruction } from '../netlink/filter.ts';
import { check, libc } from './libc.ts';

// include/uapi/asm-generic/socket.h
const SOL_SOCKET = 1;
const SO_DETACH_FILTER = 27;
const SO_LOCK_FILTER = 44;
const EPERM = 1;

/** The filter of a TCP socket sees the TCP header first. */
const dropSyn: readonly Instruction[] = [
  [0x30, 0, 0, 13], // ldb [13]: the flags
  [0x54, 0, 0, 0x12], // and SYN|ACK
  [0x15, 0, 1, 0x02], // jeq SYN: only the first packet of a connection
  [0x06, 0, 0, 0], // ret 0: drop
  [0x06, 0, 0, 0xffffffff], // ret -1: keep
];

/** Drops requests for new connections until `letIn`. `locked` when somebody marked the socket as shared. @throws {NativeError} */
export function holdOff(fd: number): 'done' | 'locked' {
  const errno = attachFilter(fd, dropSyn);
  if (errno === EPERM) return 'locked';
  if (errno !== 0) throw new NativeError('setsockopt', errno);
  return 'done';
}

/** Lets requests in again. @throws {NativeError} */
export function letIn(fd: number): void {
  set(fd, SO_DETACH_FILTER, 0);
}

/** Marks a listener that more than one program serves: nobody can hold connections off any more. It cannot be taken back. @throws {NativeError} */
export function markShared(fd: number): void {
  set(fd, SO_LOCK_FILTER, 1);
}

function set(fd: number, name: number, value: number): void {
  const bytes = Buffer.from(new Int32Array([value]).buffer);
  check('setsockopt', libc().setsockopt(fd, SOL_SOCKET, name, bytes, bytes.length));
}
