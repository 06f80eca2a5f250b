/**
 * A look from inside another network namespace (setns(2), network_namespaces(7)). Only this thread goes there, for as long as one synchronous
 * call, and only when it is sure that it may come back.
 */
import { NativeError } from '../../errors.ts';
import { check, hasLibc, libc } from './libc.ts';

const CLONE_NEWNET = 0x4000_0000;
const O_CLOEXEC = 0o2000000;
// include/uapi/asm-generic/errno-base.h
const ESRCH = 3;

/** True once this thread has entered its own namespace, which takes the same right as to come back to it. */
let mayReturn: boolean | undefined;

/**
 * Runs `use` inside the network namespace of a process: sockets that it opens belong there. Null when that is not allowed, or the process is gone.
 *
 * @throws {NativeError} when the way back failed, which leaves this thread there.
 */
export function inNetworkOf<T>(root: string, pid: number, use: () => T): { readonly result: T } | null {
  if (process.geteuid?.() !== 0 || mayReturn === false || !hasLibc()) return null;
  const c = libc();
  const own = c.open(`${root}/thread-self/ns/net`, O_CLOEXEC);
  if (own < 0) return null;
  try {
    mayReturn ??= c.setns(own, CLONE_NEWNET) === 0;
    if (!mayReturn) return null;
    const other = c.open(`${root}/${pid}/ns/net`, O_CLOEXEC);
    if (other < 0) return null;
    const entered = c.setns(other, CLONE_NEWNET) === 0;
    c.close(other);
    if (!entered) return null;
    let result: T;
    try {
      result = use();
    } catch (error) {
      leave(own);
      throw error;
    }
    leave(own);
    return { result };
  } finally {
    c.close(own);
  }
}

/**
 * Goes into the network namespace of a process, for all that follows.
 *
 * @param isStill Whether the number still is the process that was meant, asked once its namespace is open.
 * @throws {NativeError} EPERM without the right to, ESRCH when the process is gone.
 */
export function enterNetworkOf(root: string, pid: number, isStill: () => boolean): void {
  const c = libc();
  const other = check('open', c.open(`${root}/${pid}/ns/net`, O_CLOEXEC));
  try {
    if (!isStill()) throw new NativeError('setns', ESRCH);
    check('setns', c.setns(other, CLONE_NEWNET));
  } finally {
    c.close(other);
  }
}

function leave(own: number): void {
  check('setns', libc().setns(own, CLONE_NEWNET));
}
