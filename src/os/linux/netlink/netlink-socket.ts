/**
 * A netlink socket that speaks to this machine's kernel (netlink(7)).
 */

import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import { check, libc } from '../calls/libc.ts';
import { type Conversation, NetlinkError, viewOf } from './netlink.ts';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const MSG_TRUNC = 0x20;
const MSG_DONTWAIT = 0x40;
const EINTR = 4;

export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;

/** A dump's datagram is at most 32 kB (net/netlink/af_netlink.c, netlink_dump). */
const bufferSize = 65_536;

/** An open netlink socket. */
export interface KernelConversation extends Conversation {
  close(): void;
}

/**
 * Opens a conversation with one part of the kernel.
 *
 * @throws {NativeError} when the kernel or a sandbox refuses. @throws {UnsupportedError} without koffi.
 */
export function openNetlink(protocol: number): KernelConversation {
  const c = libc();
  const fd = check('socket', c.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  try {
    // Connected to the kernel (port 0), so that no other process can answer in its name.
    const kernel = Buffer.alloc(12);
    viewOf(kernel).setUint16(0, AF_NETLINK, littleEndian);
    check('connect', c.connect(fd, kernel, kernel.length));
  } catch (error) {
    c.close(fd);
    throw error;
  }
  const buffer = Buffer.allocUnsafeSlow(bufferSize);
  return {
    send(request) {
      check('sendto', c.sendto(fd, request, request.length, 0, null, 0));
    },
    receive() {
      for (;;) {
        // A dump is filled when it is asked for, so there is always something, and waiting would only be a hang.
        const length = c.recv(fd, buffer, buffer.length, MSG_DONTWAIT | MSG_TRUNC);
        if (length >= 0) {
          if (length > buffer.length) throw new NetlinkError(`A datagram of ${length} bytes was cut off`);
          return buffer.subarray(0, length);
        }
        const errno = c.errno();
        if (errno !== EINTR) throw new NativeError('recv', errno);
      }
    },
    close() {
      c.close(fd);
    },
  };
}
