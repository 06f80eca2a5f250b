/**
 * The descriptor behind what Node made. Node has no public name for it on a server or a socket (nodejs/node#12228).
 */

import type { Socket as UdpSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';
import { hidden, rawSocketOf } from './hidden.ts';

/** Whatever has a descriptor: a server that listens, a connected socket, a bound UDP socket, or the number itself. */
export type HasDescriptor = Server | Socket | UdpSocket | number;

/**
 * The descriptor of a server that listens, a socket that is connected, or a UDP socket that is bound.
 * It stays Node's: never close it. It is a different one after the next `listen`.
 *
 * @throws {TypeError} when the handle is not open yet, is closed, or is not one that Node made; when the platform has no descriptors (Windows);
 *   when a cluster worker shares the primary's socket, which then has the descriptor.
 * @example
 * ```ts
 * const server = net.createServer();
 * await listen(server, { port: 0 });
 * descriptor(server); // 19
 * ```
 */
export function descriptor(of: HasDescriptor): number {
  if (typeof of === 'number') {
    if (Number.isSafeInteger(of) && of >= 0 && of < 2 ** 31) return of;
    throw new TypeError(`A descriptor is a whole number from 0, not ${of}`);
  }
  if (typeof of !== 'object' || of === null)
    throw new TypeError('A server, a socket or a descriptor is needed: a net.Server, a net.Socket or a dgram.Socket');
  const fd = openDescriptor(of);
  if (fd !== null) return fd;
  if (process.platform === 'win32') throw new TypeError('Windows has no descriptors for sockets');
  throw new TypeError(
    'There is no descriptor: the server does not listen yet, the socket is not connected or bound yet, or it is closed. In a cluster worker the primary has it',
  );
}

/** The descriptor, or null where there is none now. */
export function openDescriptor(of: object): number | null {
  const handle = handleOf(of);
  const fd = handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : null;
}

/** True when a UDP socket was closed; it cannot be bound again. */
export function isClosed(socket: UdpSocket): boolean {
  return handleOf(socket) === null;
}

/** The native handle that Node keeps on a server or a socket, or null. */
function handleOf(of: object): { readonly fd?: unknown } | null {
  // A UDP socket keeps it under a private symbol, because `_handle` is deprecated there and prints a warning (DEP0112).
  const udp = hidden(of, 'state symbol') as { handle?: object | null } | undefined;
  if (udp !== undefined) return udp.handle ?? null;
  const socket = rawSocketOf(of as Socket);
  return (socket as { _handle?: object | null })._handle ?? null;
}
