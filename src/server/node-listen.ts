/**
 * Node's own `listen` and `bind` as promises: failures come to us and not to the program's 'error' listeners, because another try may follow.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import type { EventEmitter } from 'node:events';
import net, { type ListenOptions as NodeListenOptions, type Server } from 'node:net';
import { closedError } from './pending.ts';

/** Resolves when the server listens. Rejects with Node's error, or with the signal's reason. */
export function listenByNode(server: Server, options: NodeListenOptions, signal?: AbortSignal): Promise<void> {
  return settle(server, signal, () => server.listen(options));
}

/**
 * Serves on a socket that listens already; the server owns the descriptor from here on.
 * The backlog stands beside, because Node ignores it inside of `{ fd }` and shrinks the queue to 511.
 */
export function listenOnDescriptor(
  server: Server,
  fd: number,
  backlog: number,
  inWorker: boolean,
  signal?: AbortSignal,
): Promise<void> {
  return settle(server, signal, () => {
    // In a cluster worker `{ fd }` means a descriptor of the primary; a handle means ours.
    if (inWorker) server.listen(handleOf(fd), backlog);
    else server.listen({ fd }, backlog);
  });
}

/** Serves on a handle of Node's own that is bound; the server owns it from here on. */
export function listenOnHandle(server: Server, handle: unknown, backlog: number, signal?: AbortSignal): Promise<void> {
  return settle(server, signal, () => server.listen(handle, backlog));
}

/** Resolves when the socket is bound. */
export function bindByNode(
  socket: UdpSocket,
  options: { port?: number; address?: string; fd?: number; exclusive?: boolean },
  signal?: AbortSignal,
): Promise<void> {
  return settle(socket, signal, () => socket.bind(options));
}

function handleOf(fd: number): unknown {
  type Factory = (address: null, port: null, type: null, fd: number) => unknown;
  const create = (net as unknown as { _createServerHandle?: Factory })._createServerHandle;
  if (create === undefined)
    throw new Error('This Node offers a cluster worker no way to listen on a socket of its own');
  return create(null, null, null, fd);
}

function settle(emitter: EventEmitter, signal: AbortSignal | undefined, begin: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const own = Object.getOwnPropertyDescriptor(emitter, 'emit');
    const emit = emitter.emit;
    const restore = (): void => {
      if (own !== undefined) Object.defineProperty(emitter, 'emit', own);
      else Reflect.deleteProperty(emitter, 'emit');
      emitter.removeListener('listening', done);
      emitter.removeListener('close', closed);
      signal?.removeEventListener('abort', abort);
    };
    const done = (): void => {
      restore();
      resolve();
    };
    const fail = (error: unknown): void => {
      restore();
      reject(error);
    };
    const closed = (): void => fail(signal?.aborted ? signal.reason : closedError());
    // The code that aborts it closes the server.
    const abort = (): void => fail(signal?.reason);
    signal?.throwIfAborted();
    Object.defineProperty(emitter, 'emit', {
      configurable: true,
      writable: true,
      value: (event: string | symbol, ...args: unknown[]) => {
        if (event !== 'error') return Reflect.apply(emit, emitter, [event, ...args]);
        fail(args[0]);
        return true;
      },
    });
    emitter.once('listening', done);
    emitter.once('close', closed);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      begin();
    } catch (error) {
      fail(error);
    }
  });
}
