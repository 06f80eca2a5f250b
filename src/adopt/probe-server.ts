/**
 * A server without a connection listener is a probe: "is this port free?" (get-port, vite, portfinder). On a held port
 * the honest answer is yes, and the socket must not be touched: a probe that really listens would accept clients and drop them.
 */
import type { Server } from 'node:net';
import type { Endpoint } from '../model/endpoint.ts';

/** Node reads a server's `_handle` for address(), listening and close(). */
interface PretendHandle {
  close(done?: () => void): void;
  ref(): void;
  unref(): void;
  getsockname(out: Record<string, unknown>): number;
  getAsyncId(): number;
}

/** True for a server that nobody would hear from. */
export function isProbe(server: Server): boolean {
  return server.listenerCount('connection') === 0;
}

/**
 * Makes the server look as if it listened. If it gets a connection listener after all, `becomeReal` is called once.
 */
export function pretend(
  server: Server,
  endpoint: Endpoint,
  callback: (() => void) | null,
  becomeReal: () => void,
): void {
  // A listening server keeps its process alive; a timer of the longest time does the same.
  const alive = setInterval(() => {}, 2 ** 31 - 1);
  const onNewListener = (event: string): void => {
    if (event !== 'connection') return;
    end();
    setHandle(server, null);
    becomeReal();
  };
  const end = (): void => {
    clearInterval(alive);
    server.removeListener('newListener', onNewListener);
  };
  const handle: PretendHandle = {
    close: (done) => {
      end();
      if (done !== undefined) setImmediate(done);
    },
    ref: () => alive.ref(),
    unref: () => alive.unref(),
    getAsyncId: () => 0,
    getsockname: (out) => {
      if (endpoint.protocol !== 'unix') {
        out['address'] = endpoint.address;
        out['port'] = endpoint.port;
        out['family'] = endpoint.address.includes(':') ? 'IPv6' : 'IPv4';
      }
      return 0;
    },
  };
  setHandle(server, handle);
  server.on('newListener', onNewListener);
  if (callback !== null) server.once('listening', callback);
  process.nextTick(() => {
    if ((server as unknown as { _handle: unknown })._handle === handle) server.emit('listening');
  });
}

function setHandle(server: Server, handle: PretendHandle | null): void {
  (server as unknown as { _handle: PretendHandle | null })._handle = handle;
}
