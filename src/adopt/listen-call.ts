/**
 * net.Server.listen on an endpoint that hold keeps: the server gets hold's socket instead of making its own.
 */
import net from 'node:net';

/** What the caller passed to listen(), in Node's own order of arguments. */
export interface ListenCall {
  readonly host: string | null;
  readonly port: number | null;
  readonly path: string | null;
  readonly signal: AbortSignal | undefined;
  readonly ipv6Only: boolean;
  readonly callback: (() => void) | null;
}

/**
 * Reads the arguments as net.Server.listen does (lib/net.js, normalizeArgs); null for handles, descriptors and
 * whatever Node would refuse, which it should refuse itself.
 */
export function readListenCall(args: readonly unknown[]): ListenCall | null {
  const last = args.at(-1);
  const callback = typeof last === 'function' ? (last as () => void) : null;
  const first = args[0];
  if (typeof first === 'object' && first !== null) {
    const options = first as Record<string, unknown>;
    if ('_handle' in options || 'handle' in options) return null;
    if (typeof options['fd'] === 'number' && options['fd'] >= 0) return null;
    const port = readPort(options['port']);
    const path = typeof options['path'] === 'string' ? options['path'] : null;
    if (port === null && path === null) return null;
    const host = typeof options['host'] === 'string' ? options['host'] : null;
    return {
      host,
      // A port wins over a path, as in Node.
      port,
      path: port === null ? path : null,
      signal: options['signal'] as AbortSignal | undefined,
      ipv6Only: options['ipv6Only'] === true,
      callback,
    };
  }
  const rest = { signal: undefined, ipv6Only: false, callback };
  if (typeof first === 'string' && readPort(first) === null) return { host: null, port: null, path: first, ...rest };
  const port = readPort(first);
  if (port === null) return null;
  return { host: typeof args[1] === 'string' ? args[1] : null, port, path: null, ...rest };
}

function readPort(value: unknown): number | null {
  if (typeof value === 'string' && value.trim() === '') return null;
  if (typeof value !== 'number' && typeof value !== 'string') return null;
  const port = Number(value);
  return Number.isInteger(port) && port >= 0 && port < 65_536 ? port : null;
}

type Listen = typeof net.Server.prototype.listen;

/** Node's own listen, for those who must not be intercepted. */
export const plainListen: Listen = net.Server.prototype.listen;

/** The handle behind a server; private in Node, and the only way to know when its descriptor is closed. */
export interface Handle {
  readonly fd?: number;
  close(done?: () => void): void;
}

export function handleOf(server: net.Server): Handle | null {
  return (server as unknown as { _handle: Handle | null })._handle;
}

/**
 * Lets a server listen on a descriptor. The backlog goes as the second argument: Node ignores the one in the options
 * beside `fd`, and would shrink the shared queue to 511.
 */
export function listenOn(server: net.Server, fd: number, backlog: number, call: ListenCall): void {
  const options = { fd, ...(call.signal === undefined ? {} : { signal: call.signal }) };
  const args = call.callback === null ? [options, backlog] : [options, backlog, call.callback];
  Reflect.apply(plainListen, server, args);
}
