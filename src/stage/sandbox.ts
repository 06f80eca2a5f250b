/**
 * Runs a command under a policy that refuses every bind, as a container platform or a hardened unit may have one:
 * `node sandbox.js COMMAND…`. It lives and leaves with the command.
 */
import { spawn } from 'node:child_process';
import { littleEndian } from '../os/byte-order.ts';
import { check, libc } from '../os/linux/calls/libc.ts';
import { bindNumbers } from './bind-number.ts';

// include/uapi/linux/prctl.h, seccomp.h, bpf_common.h
const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2;
const SECCOMP_RET_ALLOW = 0x7fff0000;
const SECCOMP_RET_ERRNO = 0x00050000;
const loadWord = 0x20;
const jumpIfEqual = 0x15;
const return_ = 0x06;
const EPERM = 1;

function refuseBind(number: number): void {
  // struct sock_filter { u16 code; u8 jt; u8 jf; u32 k; }: the number of the call is at offset 0 of seccomp_data.
  const instructions = [
    [loadWord, 0, 0, 0],
    [jumpIfEqual, 0, 1, number],
    [return_, 0, 0, SECCOMP_RET_ERRNO | EPERM],
    [return_, 0, 0, SECCOMP_RET_ALLOW],
  ] as const;
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

const number = bindNumbers.get(process.arch);
if (number === undefined) throw new Error(`the number of bind(2) on ${process.arch} is not known`);
refuseBind(number);
// Children are made by this thread, and so they inherit its filter (seccomp(2)).
const [file = '', ...args] = process.argv.slice(2);
const child = spawn(file, args, { stdio: 'inherit' });
child.once('exit', (code) => process.exit(code ?? 1));
