/**
 * One try to connect.
 */
import { createRequire } from 'node:module';
import net, { type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { Plan } from './connect-options.ts';

/** Refused by ourselves: the kernel had connected the socket to itself. */
class SelfConnectError extends Error {
  readonly code = 'ECONNREFUSED';
}

/** One try, over when the connection stands and is not one to itself. */
export function attemptOnce({ to, tls: secure, attemptMs }: Plan, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = secure === null ? net.connect(to) : connectTls({ ...secure, ...to } as ConnectionOptions);
    const timer = setTimeout(() => {
      socket.destroy(
        Object.assign(new Error(`connect ETIMEDOUT: no answer in ${attemptMs} ms`), { code: 'ETIMEDOUT' }),
      );
    }, attemptMs);
    const abort = (): void => void socket.destroy(signal.reason);
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.removeListener('error', fail);
    };
    const fail = (error: Error): void => {
      settle();
      reject(error);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.on('error', fail);
    // The TCP connection, below TLS: a socket that is connected to itself waits for ever for the other side's hello.
    socket.once('connect', () => {
      if (!isSelf(socket)) return;
      // A reset, so that no TIME_WAIT keeps the server from its port.
      socket.resetAndDestroy();
      fail(new SelfConnectError('connect ECONNREFUSED: nobody listens, and the kernel connected the socket to itself'));
    });
    socket.once(secure === null ? 'connect' : 'secureConnect', () => {
      if (socket.destroyed) return;
      settle();
      // The program may listen for errors or not: an ended connection is not one here, since another follows.
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

/** Node's TLS is loaded by who needs it: it is the larger part of Node's own start. */
function connectTls(options: ConnectionOptions): Socket {
  return (createRequire(import.meta.url)('node:tls') as typeof import('node:tls')).connect(options);
}

/** Both ends are one socket: what happens when the kernel picks the port of a server that is down as the client's own. */
function isSelf(socket: Socket): boolean {
  return (
    socket.localPort !== undefined &&
    socket.localPort === socket.remotePort &&
    socket.localAddress === socket.remoteAddress
  );
}
