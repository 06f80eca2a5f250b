/**
 * A policy that refuses system calls to this process and what it starts (seccomp(2)), as container platforms and hardened units have them.
 */
import { constants } from 'node:os';
import { littleEndian } from '../os/byte-order.ts';
import { check, libc } from '../os/linux/calls/libc.ts';
import { type CallName, callNumber } from '../os/linux/calls/numbers.ts';

// include/uapi/linux/prctl.h, seccomp.h, bpf_common.h
const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2;
const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_ERRNO = 0x00050000;
const loadWord = 0x20;
const jumpIfEqual = 0x15;
const return_ = 0x06;
/** Where struct seccomp_data has the lower half of the first argument, on a little-endian machine. */
const firstArgument = 16;

/** A call that fails with an errno; with `argument`, only where its first argument is this, such as the family of socket(2). */
export interface Refused {
  readonly call: CallName;
  readonly argument?: number;
  readonly errno: keyof typeof constants.errno;
}

type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, value: number];

/** Refuses these calls to this thread from now on. @throws {NativeError} @throws {Error} where the number of a call is not known. */
export function refuse(calls: readonly Refused[]): void {
  const instructions: Instruction[] = [
    // The number of the call is the first word of seccomp_data.
    ...calls.flatMap(({ call, argument, errno }): Instruction[] => {
      const number = callNumber(call);
      if (number === null) throw new Error(`the number of ${call}(2) on ${process.arch} is not known`);
      const fail: Instruction = [return_, 0, 0, SECCOMP_RET_ERRNO | constants.errno[errno]];
      const ask: Instruction[] =
        argument === undefined
          ? [[jumpIfEqual, 0, 1, number], fail]
          : [[jumpIfEqual, 0, 3, number], [loadWord, 0, 0, firstArgument], [jumpIfEqual, 0, 1, argument], fail];
      return [[loadWord, 0, 0, 0], ...ask];
    }),
    [return_, 0, 0, SECCOMP_RET_ALLOW],
  ];
  // struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; }
  const filter = Buffer.alloc(instructions.length * 8);
  const view = new DataView(filter.buffer, filter.byteOffset);
  for (const [index, [code, jt, jf, k]] of instructions.entries()) {
    view.setUint16(index * 8, code, littleEndian);
    view.setUint8(index * 8 + 2, jt);
    view.setUint8(index * 8 + 3, jf);
    view.setUint32(index * 8 + 4, k, littleEndian);
  }
  // struct sock_fprog { unsigned short len; struct sock_filter *filter; } on a 64-bit machine
  const program = Buffer.alloc(16);
  const fields = new DataView(program.buffer, program.byteOffset);
  fields.setUint16(0, instructions.length, littleEndian);
  fields.setBigUint64(8, libc().address(filter), littleEndian);
  check('prctl', libc().prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
  check('prctl', libc().prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, libc().address(program), 0, 0));
}
