/**
 * What was asked of `listen`, checked before anything is opened.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import type { Server } from 'node:net';
import {
  backlogNumber,
  checkFlag,
  checkNames,
  checkSignal,
  milliseconds,
  portNumber,
  show,
  withCode,
} from '../check.ts';
import type { BindOptions } from '../model/endpoint.ts';
import { parseEndpoint } from '../model/endpoint.ts';
import { isServer, isUdpSocket, serverExpected } from './arguments.ts';
import {
  asked,
  checkSocketOptions,
  type SocketOptionName,
  type SocketOptions,
  socketOptionNames,
} from './bind-options.ts';
import { isClosed } from './descriptor.ts';
import type { TakeOverOptions } from './take-over.ts';

/** Where to listen, with what, and what to do when the port is blocked. */
export interface ListenOptions extends SocketOptions {
  /** A number, also as text, as it stands in the environment. 0, `null` and `undefined` for any free one. Where a `path` is given too, the port counts. */
  readonly port?: number | string | null | undefined;
  /** An address or a host name. @default `::` for both IPv6 and IPv4, or `0.0.0.0` without IPv6, as Node */
  readonly host?: string | null | undefined;
  /** A Unix socket. */
  readonly path?: string | undefined;
  /** A descriptor that is bound, such as an inherited one; port and path do not count then. `busy` must be `fail`. */
  readonly fd?: number | undefined;
  /** How many connections may wait to be accepted. @default 511, as Node, also for 0 */
  readonly backlog?: number | string | null | undefined;
  /** As in Node's own `listen`: a cluster worker with a socket of its own. @default false */
  readonly exclusive?: boolean | undefined;
  /** As in Node's own `listen`, for Unix sockets. @default false */
  readonly readableAll?: boolean | undefined;
  /** As in Node's own `listen`, for Unix sockets. @default false */
  readonly writableAll?: boolean | undefined;
  /** Node's name of `v6Only`. @default false */
  readonly ipv6Only?: boolean | undefined;
  /** Aborting closes the server, also later, as in Node's own `listen`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * When the port is blocked: `fail` with a BlockedPortError; `wait` until it is free; `take-over` from an older instance of this program;
   * or the `next` free port. @default 'fail'
   *
   * `take-over` serves on the old instance's own listening socket, and asks it by SIGTERM to finish: nobody is refused. Where the system lets
   * nobody copy a socket, the old one hands it over if it uses `take-over`, too; else, and for UDP, Unix sockets and cluster workers, the old one
   * is asked first, and the port is bound when it has ended. A file that a dead server left in the place of a Unix socket is removed.
   */
  readonly busy?: 'fail' | 'wait' | 'take-over' | 'next';
  /** With `wait`: how long. @default waits for ever */
  readonly timeoutMs?: number;
  /** With `take-over`: from whom, and how insistently. */
  readonly takeOver?: TakeOverOptions;
  /**
   * How long an HTTP server keeps a connection that asks nothing. `behind-proxy` is 75 s: longer than a proxy keeps it (nginx and AWS 60 s), so
   * that the proxy closes first. A server that closes first loses the request that is on its way, and the proxy answers 502. Sets Node's
   * `keepAliveTimeout`, which really ends a second later. @default as Node, 5 s
   */
  readonly idleTimeoutMs?: number | 'behind-proxy';
  /**
   * The options that it must not listen without; the others are only reported in `unset`.
   * @default those that decide who can reach the server: device, freeBind, transparent, mark, beforeBind, v6Only
   */
  readonly required?: readonly SocketOptionName[];
}

/** A port, a text such as `3000`, `127.0.0.1:3000` or `./app.sock`, or options; `null` and `undefined` for any free port. */
export type ListenTarget = number | string | ListenOptions | null | undefined;

/** @internal The options as they were read. */
export interface PlannedOptions extends Omit<ListenOptions, 'port' | 'host' | 'path' | 'backlog' | 'ipv6Only'> {
  readonly port?: number;
  readonly host?: string;
  readonly path?: string;
}

/** @internal What all the parts of one `listen` share. */
export interface Plan {
  readonly server: Server | UdpSocket;
  readonly options: PlannedOptions;
  readonly protocol: 'tcp' | 'udp' | 'unix';
  readonly backlog: number;
}

const busyWords = ['fail', 'wait', 'take-over', 'next'];

/** @internal The endpoint as `why` and `wait` take it. */
export function endpointOf({
  options,
  protocol,
}: Plan): { path: string } | { port: number; host: string | undefined; protocol: 'tcp' | 'udp' } {
  const { path, port = 0, host } = options;
  if (path !== undefined || protocol === 'unix') return { path: path ?? '' };
  return { port, host, protocol };
}

/** @internal The options that decide about the bind. */
export function bindOptionsOf({ options, protocol }: Plan): BindOptions {
  return {
    reuseAddress: options.reuseAddress ?? protocol === 'tcp',
    reusePort: options.reusePort ?? false,
    v6Only: options.v6Only ?? false,
    device: options.device ?? null,
  };
}

/** @internal True when it listens, or is bound. */
export function isListening(server: Server | UdpSocket): boolean {
  if (isServer(server)) return server.listening;
  try {
    // It has a descriptor after a bind that failed, too; but a port only when it is bound.
    return server.address().port > 0;
  } catch {
    return false;
  }
}

/** @internal Reads a target as Node's own `listen` does. @throws {TypeError} {RangeError} with what would be right, and with Node's code. */
export function readPlan(server: Server | UdpSocket, target: ListenTarget): Plan {
  if (!isServer(server) && !isUdpSocket(server)) throw serverExpected('listen', server);
  const isUdp = isUdpSocket(server);
  if (isUdp && isClosed(server))
    throw new TypeError('This UDP socket was closed, and Node cannot bind it again: make another one');
  const given = readTarget(target, isUdp);
  const { busy = 'fail', timeoutMs, takeOver, required } = given;
  const { port: _port, path: _path, host: _host, backlog, ipv6Only, fd, ...others } = given;
  const place = readPlace(given);
  const { path } = place;
  if (!busyWords.includes(busy)) throw invalid(`busy is one of ${busyWords.join(', ')}, not ${show(busy)}`);
  milliseconds('timeoutMs', timeoutMs, 0);
  checkIdleTimeout(server, given.idleTimeoutMs);
  checkSignal(given.signal);
  if (takeOver !== undefined) checkTakeOver(takeOver);
  if (required !== undefined && !Array.isArray(required))
    throw invalid(`required is a list of options, such as ['device'], not ${show(required)}`);
  for (const option of required ?? [])
    if (!socketOptionNames.includes(option)) throw invalid(`${show(option)} in required is not an option of listen()`);
  const protocol = path !== undefined ? 'unix' : isUdp ? 'udp' : 'tcp';
  if (protocol === 'unix' && isUdp) throw invalid('A UDP socket has no path: give a port');
  if (protocol === 'unix' && busy === 'next') throw invalid("A path has no next one: busy 'next' is for ports");
  // Node takes nothing else for true.
  const options = { ...others, ...(ipv6Only === true && { v6Only: true }), ...place };
  if (ipv6Only === true && others.v6Only === false)
    throw invalid('ipv6Only is another name of v6Only: give one of them');
  if (fd !== undefined && (busy !== 'fail' || asked(options).length > 0))
    throw invalid('A descriptor is bound already: with fd, busy and the options of the socket have nothing to do');
  checkSocketOptions(options, protocol);
  return { server, options, protocol, backlog: backlogNumber(backlog) };
}

/** Where to listen. Node's order: the descriptor, the port, the path; a port that is there and has no value is any free one. */
function readPlace(given: ListenOptions): { fd?: number; port?: number; host?: string; path?: string } {
  const { fd, port, path, host } = given;
  if (typeof fd === 'number' && fd >= 0) return { fd };
  if (fd !== undefined && fd !== null) throw invalid(`A descriptor is a whole number from 0, not ${show(fd)}`);
  // Node takes whatever is not true for no host.
  if (host && typeof host !== 'string')
    throw withCode(new TypeError(`A host is an address or a name, not ${show(host)}`), 'ERR_INVALID_ARG_TYPE');
  const at = host ? { host } : {};
  if (port === null || (port === undefined && 'port' in given)) return { port: 0, ...at };
  if (typeof port === 'number' || typeof port === 'string') return { port: portNumber(port), ...at };
  if (port !== undefined) throw invalid(`A port is a number or a text, not ${show(port)}`);
  if (path === undefined)
    throw invalid("listen() needs either a port or a path, such as { port: 3000 } or { path: './app.sock' }");
  // As Node: a path that is only digits is a port in the wrong place.
  if (typeof path !== 'string' || path === '' || Number(path) >= 0)
    throw invalid(`A path is a text that is neither empty nor a number, not ${show(path)}`);
  // The kernel has 108 bytes for it, the last one a NUL (unix(7)); Node 20 cuts a longer one off without a word.
  if (Buffer.byteLength(path) > 107)
    throw withCode(
      new RangeError(
        `The path of a Unix socket has at most 107 bytes, and ${show(path)} has ${Buffer.byteLength(path)}`,
      ),
      'ENAMETOOLONG',
    );
  return { path };
}

function invalid(sentence: string): TypeError {
  return withCode(new TypeError(sentence), 'ERR_INVALID_ARG_VALUE');
}

function checkIdleTimeout(server: object, idleTimeoutMs: ListenOptions['idleTimeoutMs']): void {
  if (idleTimeoutMs === undefined) return;
  if (idleTimeoutMs !== 'behind-proxy') milliseconds("idleTimeoutMs (or 'behind-proxy')", idleTimeoutMs, 0);
  if (!('keepAliveTimeout' in server))
    throw invalid(
      'idleTimeoutMs is for servers of http and https: no other keeps idle connections for the next request',
    );
}

function checkTakeOver(takeOver: TakeOverOptions): void {
  checkNames('takeOver', takeOver, ['from', 'timeoutMs', 'force']);
  const { from, timeoutMs, force } = takeOver;
  milliseconds('takeOver.timeoutMs', timeoutMs, 0);
  checkFlag('takeOver.force', force);
  if (from !== undefined && typeof from !== 'function' && !(Number.isSafeInteger(from) && from > 0))
    throw new TypeError(`takeOver.from is a process id, or a function that says yes to a holder, not ${show(from)}`);
}

const otherNames = [
  'port',
  'host',
  'path',
  'fd',
  'backlog',
  'exclusive',
  'readableAll',
  'writableAll',
  'ipv6Only',
  'signal',
  'busy',
  'timeoutMs',
  'takeOver',
  'idleTimeoutMs',
  'required',
];

function readTarget(target: ListenTarget, isUdp: boolean): ListenOptions {
  if (target === undefined || target === null) return { port: 0 };
  if (typeof target === 'number') return { port: target };
  if (typeof target === 'string') {
    const parsed = parseEndpoint(target);
    if (parsed.protocol === 'unix') return { path: parsed.path };
    if (!isUdp && parsed.protocol === 'udp')
      throw new TypeError(`${show(target)} is a UDP endpoint, and the server takes TCP connections`);
    return { port: parsed.port, ...(parsed.host !== null && { host: parsed.host }) };
  }
  if (typeof target !== 'object' || target === null)
    throw new TypeError(
      `listen() needs a port, a text such as 127.0.0.1:3000, or options such as { port: 3000 }, not ${show(target)}`,
    );
  checkNames('listen()', target, [...otherNames, ...socketOptionNames]);
  return target;
}
