/**
 * Sleeping until something happens: the end of a process (pidfd), the end of a socket (NETLINK_SOCK_DIAG's destroy groups),
 * input on a descriptor. Node's event loop watches them all; nothing polls.
 */

import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import type { EventRequest, EventResult, Events } from '../../events.ts';
import type { ProcessHandle } from '../../processes.ts';
import { type Waiting, waitFor } from '../../wait-for.ts';
import { attachFilter } from '../netlink/filter.ts';
import { check, libc, type Watch } from './libc.ts';
import { pidfdOf } from './pidfd.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const F_DUPFD_CLOEXEC = 1030;
const EINTR = 4;
const EAGAIN = 11;
const ENOBUFS = 105;

/** enum sknetlink_groups in include/uapi/linux/sock_diag.h: IPv4 and IPv6. */
const destroyGroups = { tcp: [1, 3], udp: [2, 4] } as const;
const netlinkHeader = 16;
/** Where idiag_sport lies in struct inet_diag_msg. */
const sourcePortAt = 4;

/** How often a process without a pidfd is looked at. */
const checkEveryMs = 200;

export const events: Events = { wait };

function wait(what: EventRequest): Promise<EventResult> {
  return waitFor(what, (waiting) => {
    const { undo, end } = waiting;
    for (const process of what.processes ?? []) watchProcess(process, waiting);
    if (what.port !== undefined) watchPort(what.port, waiting);
    for (const descriptor of what.descriptors ?? [])
      undo.push(watchDescriptor(descriptor, () => end({ kind: 'readable', descriptor }), 'readable', what.background));
    for (const descriptor of what.writable ?? [])
      undo.push(watchDescriptor(descriptor, () => end({ kind: 'writable', descriptor }), 'writable', what.background));
  });
}

function watchProcess(process: ProcessHandle, { undo, guard, end }: Waiting): void {
  const pidfd = pidfdOf(process);
  if (pidfd !== null) {
    undo.push(watchDescriptor(pidfd, () => end({ kind: 'exit', process })));
    return;
  }
  const look = guard(() => {
    if (!process.isAlive()) end({ kind: 'exit', process });
  });
  const timer = setInterval(look, checkEveryMs);
  undo.push(() => clearInterval(timer));
  setImmediate(look);
}

function watchPort(port: NonNullable<EventRequest['port']>, { undo, guard, end }: Waiting): void {
  const fd = check('socket', libc().socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  undo.push(() => libc().close(fd));
  // A socket without an address of its own is passed over by the kernel's broadcasts (do_one_broadcast in af_netlink.c).
  const self = Buffer.alloc(12);
  self[littleEndian ? 0 : 1] = AF_NETLINK;
  check('bind', libc().bind(fd, self, self.length));
  // Only what is about this port wakes us up; where filters are not allowed, everything does, and is sorted out below.
  attachFilter(fd, [
    [0x28, 0, 0, netlinkHeader + sourcePortAt], // ldh: the local port
    [0x15, 0, 1, port.port], // jeq
    [0x06, 0, 0, 0xffffffff], // ret -1: keep
    [0x06, 0, 0, 0], // ret 0: drop
  ]);
  for (const group of destroyGroups[port.protocol]) {
    const value = Buffer.from(new Int32Array([group]).buffer);
    check('setsockopt', libc().setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, value, value.length));
  }
  const watch = libc().watch(
    fd,
    guard(() => {
      if (wasDestroyed(fd, port.port)) end({ kind: 'destroyed' });
    }),
  );
  // Before the descriptor is closed: undone in the order of this list.
  undo.unshift(() => watch.close());
}

/** Reads every message that is there. */
function wasDestroyed(fd: number, port: number): boolean {
  const bytes = Buffer.alloc(16_384);
  let found = false;
  for (;;) {
    const length = libc().recv(fd, bytes, bytes.length, 0);
    if (length === -1) {
      const errno = libc().errno();
      if (errno === EAGAIN) return found;
      if (errno === EINTR) continue;
      // Messages were lost: perhaps the one that matters.
      if (errno === ENOBUFS) found = true;
      else throw new NativeError('recv', errno);
      continue;
    }
    found ||= mentions(bytes.subarray(0, length), port);
  }
}

function mentions(bytes: Buffer, port: number): boolean {
  for (let at = 0; at + netlinkHeader + sourcePortAt + 2 <= bytes.length; ) {
    const size = littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
    if (size < netlinkHeader) return false;
    if (bytes.readUInt16BE(at + netlinkHeader + sourcePortAt) === port) return true;
    at += (size + 3) & ~3;
  }
  return false;
}

/** Watches a duplicate: the event loop takes a number only once, and the owner may close its own at any time. */
function watchDescriptor(
  fd: number,
  onReady: () => void,
  what: 'readable' | 'writable' = 'readable',
  background = false,
): () => void {
  const copy = check('fcntl', libc().fcntl(fd, F_DUPFD_CLOEXEC, 0));
  let watch: Watch;
  try {
    watch = libc().watch(copy, onReady, what);
    if (background) watch.unref();
  } catch (error) {
    libc().close(copy);
    throw error;
  }
  return () => {
    watch.close();
    libc().close(copy);
  };
}
