/**
 * dgram's bind() on an endpoint that hold keeps.
 */
import dgram from 'node:dgram';
import type { Managed } from './agent.ts';
import type { Wish } from './match.ts';

/** What was passed to bind(), or null when it is not a port: then Node knows best. */
export function readBindCall(
  socket: dgram.Socket,
  args: readonly unknown[],
): { readonly wish: Wish; readonly callback: (() => void) | null } | null {
  const last = args.at(-1);
  const callback = typeof last === 'function' ? (last as () => void) : null;
  const first = args[0];
  const options = typeof first === 'object' && first !== null ? (first as Record<string, unknown>) : null;
  if (options !== null && (options['fd'] !== undefined || options['port'] === undefined)) return null;
  const port = Number(options === null ? first : options['port']);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) return null;
  const named = options === null ? args[1] : options['address'];
  const wildcard = (socket as unknown as { type: string }).type === 'udp6' ? '::' : '0.0.0.0';
  return {
    wish: { protocol: 'udp', host: typeof named === 'string' && named !== '' ? named : wildcard, port },
    callback,
  };
}

/** Node's own bind, for those who must not be intercepted. */
export const plainBind = dgram.Socket.prototype.bind;

/** A datagram has no connection to wait for: whoever reads next gets the next one. */
export function manageUdp(socket: dgram.Socket): Managed {
  return {
    server: socket,
    stop: () => {
      try {
        socket.close();
      } catch {
        // ERR_SOCKET_DGRAM_NOT_RUNNING: the program closed it.
      }
    },
    drain: async () => ({ finished: 0, idle: 0, killed: 0, handedOff: 0 }),
  };
}
