/**
 * Descriptors sent from process to process over a Unix socket (SCM_RIGHTS, unix(7), cmsg(3)).
 */

import { NativeError } from '../../errors.ts';
import { check, libc } from './libc.ts';
import { align, eachControl, intAt, pointerSize, resultOf, withMessage, writeInt, writeWord } from './message.ts';

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;
const MSG_PEEK = 0x2;
const MSG_CTRUNC = 0x8;
const MSG_CMSG_CLOEXEC = 0x40000000;
const EAGAIN = 11;
const EINTR = 4;
const EMSGSIZE = 90;

/** The kernel's limit for one message (SCM_MAX_FD in include/net/scm.h). */
const mostDescriptors = 253;
/** Enough for any message this program sends. */
const mostData = 65_536;

/**
 * Sends descriptors with data, which must not be empty: a stream carries no message without a byte.
 *
 * @throws {NativeError}
 */
export function sendDescriptors(fd: number, descriptors: readonly number[], data: Buffer): void {
  if (descriptors.length > mostDescriptors)
    throw new NativeError('sendmsg', EMSGSIZE, `one message takes at most ${mostDescriptors} descriptors`);
  const control = Buffer.alloc(descriptors.length === 0 ? 0 : controlSize(descriptors.length));
  if (descriptors.length > 0) {
    writeWord(control, 0, pointerSize + 8 + 4 * descriptors.length);
    writeInt(control, pointerSize, SOL_SOCKET);
    writeInt(control, pointerSize + 4, SCM_RIGHTS);
    for (const [index, descriptor] of descriptors.entries()) writeInt(control, pointerSize + 8 + 4 * index, descriptor);
  }
  let rest = data;
  let rights = control;
  do {
    const sent = retry('sendmsg', () => withMessage(rest, rights, (message) => libc().sendmsg(fd, message, 0)));
    if (sent === null) throw new NativeError('sendmsg', EAGAIN);
    rest = rest.subarray(sent);
    // The descriptors went with the first byte.
    rights = Buffer.alloc(0);
  } while (rest.length > 0);
}

/**
 * Receives one message. Null when nothing is there yet, empty `data` at the end.
 *
 * @throws {NativeError}
 */
export function receiveDescriptors(fd: number): { data: Buffer; descriptors: number[] } | null {
  const message = receiveMessage(fd, { descriptors: true });
  if (message === null) return null;
  const { data, descriptors } = message;
  if (!message.truncated) return { data, descriptors };
  for (const descriptor of descriptors) libc().close(descriptor);
  throw new NativeError('recvmsg', EMSGSIZE, 'some of the descriptors did not fit');
}

/** One message as the kernel hands it over. */
export interface ReceivedMessage {
  readonly data: Buffer;
  readonly descriptors: number[];
  /** Who sent it, where the socket asks for that (SO_PASSCRED); null elsewhere. */
  readonly sender: { readonly pid: number; readonly uid: number } | null;
  /** It carried more than there was room for: without room for descriptors, that it carried any. */
  readonly truncated: boolean;
}

/**
 * @param how `peek`: leave it where it is (MSG_PEEK). `descriptors`: make room for them; without, the kernel closes those of a message that is taken.
 * @throws {NativeError}
 */
export function receiveMessage(
  fd: number,
  how: { readonly peek?: boolean; readonly descriptors: boolean },
): ReceivedMessage | null {
  const data = Buffer.alloc(mostData);
  const control = Buffer.alloc(controlSize(3) + (how.descriptors ? controlSize(mostDescriptors) : 0));
  let result = { controlLength: 0, flags: 0 };
  const received = retry('recvmsg', () =>
    withMessage(data, control, (message) => {
      const length = libc().recvmsg(fd, message, MSG_CMSG_CLOEXEC | (how.peek === true ? MSG_PEEK : 0));
      result = resultOf(message);
      return length;
    }),
  );
  if (received === null) return null;
  return {
    data: data.subarray(0, received),
    ...readControl(control.subarray(0, result.controlLength)),
    truncated: (result.flags & MSG_CTRUNC) !== 0,
  };
}

function retry(syscall: string, call: () => number): number | null {
  for (;;) {
    const result = call();
    if (result !== -1) return result;
    const errno = libc().errno();
    if (errno === EAGAIN) return null;
    if (errno !== EINTR) check(syscall, result);
  }
}

/** What came beside the data (cmsg(3)). */
export function readControl(control: Buffer): Pick<ReceivedMessage, 'descriptors' | 'sender'> {
  const descriptors: number[] = [];
  let sender: ReceivedMessage['sender'] = null;
  eachControl(control, (level, type, data) => {
    if (level !== SOL_SOCKET) return;
    if (type === SCM_RIGHTS) for (let at = 0; at + 4 <= data.length; at += 4) descriptors.push(intAt(data, at));
    // struct ucred: pid, uid, gid. A uid is unsigned.
    if (type === SCM_CREDENTIALS && data.length >= 12) sender = { pid: intAt(data, 0), uid: intAt(data, 4) >>> 0 };
  });
  return { descriptors, sender };
}

function controlSize(count: number): number {
  return pointerSize + 8 + align(4 * count);
}
