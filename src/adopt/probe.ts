/**
 * A server without a connection listener is mostly a probe, "is this port free?" (get-port, vite, portfinder). On a held port the honest answer
 * is yes, and the queue must not be touched: a probe that really listened would accept clients and drop them.
 */
import { subscribe } from 'node:diagnostics_channel';
import net, { isIP, type Server } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Handle } from './bindings.ts';
import { onClose } from './handles.ts';

/** How long it counts as a probe, and how often it is looked at. */
const probeMs = 250;
const lookMs = 10;

/** EADDRINUSE as Node's handles return it. */
export const addressInUse = -98;
/** Servers that were told to listen and wait for a lookup; more are forgotten. */
const mostStarts = 32;

/** Servers that begin to listen: when a handle is bound, Node has not said yet whose it is. */
export class Starts {
  readonly #list: { readonly server: WeakRef<Server>; readonly port: number; readonly host: unknown }[] = [];

  constructor() {
    subscribe('tracing:net.server.listen:asyncStart', (message) => {
      const { server, options } = message as { server: Server; options: { port?: unknown; host?: unknown } | null };
      this.#list.push({ server: new WeakRef(server), port: Number(options?.port ?? 0), host: options?.host });
      if (this.#list.length > mostStarts) this.#list.shift();
    });
  }

  /** True when the server that is about to be bound there is a probe. */
  isProbe({ address, port }: { readonly address: string; readonly port: number }): boolean {
    const at = this.#list.findLastIndex((one) => {
      const isNamed = typeof one.host === 'string' && one.host !== '' && isIP(one.host) !== 0;
      return one.port === port && (!isNamed || one.host === address);
    });
    const server = this.#list[at]?.server.deref();
    return server !== undefined && isProbe(server);
  }
}

/** True for a server that nobody would hear from. */
export function isProbe(server: Server): boolean {
  return server instanceof net.Server && server.listenerCount('connection') === 0;
}

/** Calls listen(2) when the server has a connection listener, or has stayed; never when it is closed before. Meanwhile it keeps its process alive. */
export function listenLater(handle: Handle, server: Server, listen: () => number): void {
  const state = { isOpen: true };
  const sinceMs = performance.now();
  onClose(handle, () => {
    state.isOpen = false;
  });
  const look = (): void => {
    if (!state.isOpen) return;
    if (!isProbe(server) || performance.now() - sinceMs > probeMs) {
      const error = listen();
      if (error !== 0) server.emit('error', errorOf(error));
      return;
    }
    const timer = setTimeout(look, lookMs);
    if (!handle.hasRef()) timer.unref();
  };
  setImmediate(look);
}

function errorOf(errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`listen ${code}`), { errno, code, syscall: 'listen' });
}
