/**
 * What was asked of `listen`, checked before anything is opened.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import type { Server } from 'node:net';
import { backlogNumber, checkFlag, checkSignal, milliseconds, portNumber, show } from '../check.ts';
import type { BindOptions } from '../model/endpoint.ts';
import { parseEndpoint } from '../model/endpoint.ts';
import { checkOptions, isServer, isUdpSocket, serverExpected } from './arguments.ts';
import { checkSocketOptions, type SocketOptionName, type SocketOptions, socketOptionNames } from './bind-options.ts';
import { isClosed } from './descriptor.ts';
import type { TakeOverOptions } from './take-over.ts';

/** Where to listen, with what, and what to do when the port is blocked. */
export interface ListenOptions extends SocketOptions {
  /** 0 for any free one. Either `port` or `path`. */
  readonly port?: number;
  /** An address or a host name. @default `::` for both IPv6 and IPv4, or `0.0.0.0` without IPv6, as Node */
  readonly host?: string;
  /** A Unix socket. */
  readonly path?: string;
  /** How many connections may wait to be accepted. @default 511, as Node */
  readonly backlog?: number;
  /** As in Node's own `listen`: a cluster worker with a socket of its own. @default false */
  readonly exclusive?: boolean;
  /** As in Node's own `listen`, for Unix sockets. @default false */
  readonly readableAll?: boolean;
  /** As in Node's own `listen`, for Unix sockets. @default false */
  readonly writableAll?: boolean;
  /** Aborting closes the server, also later, as in Node's own `listen`. */
  readonly signal?: AbortSignal;
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
   * The options that it must not listen without; the others are only reported in `unset`.
   * @default those that decide who can reach the server: device, freeBind, transparent, mark, beforeBind, v6Only
   */
  readonly required?: readonly SocketOptionName[];
}

/** A port, a text such as `127.0.0.1:3000` or `./app.sock`, or options. */
export type ListenTarget = number | string | ListenOptions;

/** What all the parts of one `listen` share. */
export interface Plan {
  readonly server: Server | UdpSocket;
  readonly options: ListenOptions;
  readonly protocol: 'tcp' | 'udp' | 'unix';
  readonly backlog: number;
}

const busyWords = ['fail', 'wait', 'take-over', 'next'];

/** The endpoint as `why` and `wait` take it. */
export function endpointOf({
  options,
  protocol,
}: Plan): { path: string } | { port: number; host: string | undefined; protocol: 'tcp' | 'udp' } {
  const { path, port = 0, host } = options;
  if (path !== undefined || protocol === 'unix') return { path: path ?? '' };
  return { port, host, protocol };
}

/** The options that decide about the bind. */
export function bindOptionsOf({ options, protocol }: Plan): BindOptions {
  return {
    reuseAddress: options.reuseAddress ?? protocol === 'tcp',
    reusePort: options.reusePort ?? false,
    v6Only: options.v6Only ?? false,
    device: options.device ?? null,
  };
}

/** True when it listens, or is bound. */
export function isListening(server: Server | UdpSocket): boolean {
  if (isServer(server)) return server.listening;
  try {
    // It has a descriptor after a bind that failed, too; but a port only when it is bound.
    return server.address().port > 0;
  } catch {
    return false;
  }
}

/** @throws {TypeError} {RangeError} with what would be right. */
export function readPlan(server: Server | UdpSocket, target: ListenTarget): Plan {
  if (!isServer(server) && !isUdpSocket(server)) throw serverExpected('listen', server);
  if (isUdpSocket(server) && isClosed(server))
    throw new TypeError('This UDP socket was closed, and Node cannot bind it again: make another one');
  const options = readTarget(target, isUdpSocket(server));
  const { port, path, backlog = 511, busy = 'fail', timeoutMs, takeOver, required, host } = options;
  if ((port === undefined) === (path === undefined))
    throw new TypeError("listen() needs either a port or a path, such as { port: 3000 } or { path: './app.sock' }");
  if (path !== undefined && (typeof path !== 'string' || path === ''))
    throw new TypeError(`A path is a text that is not empty, not ${show(path)}`);
  if (host !== undefined && typeof host !== 'string')
    throw new TypeError(`A host is an address or a name, not ${show(host)}`);
  if (!busyWords.includes(busy)) throw new TypeError(`busy is one of ${busyWords.join(', ')}, not ${show(busy)}`);
  // The kernel has 108 bytes for it, the last one a NUL (unix(7)); Node 20 cuts a longer one off without a word.
  if (path !== undefined && Buffer.byteLength(path) > 107)
    throw new RangeError(
      `The path of a Unix socket has at most 107 bytes, and ${show(path)} has ${Buffer.byteLength(path)}`,
    );
  backlogNumber(backlog);
  milliseconds('timeoutMs', timeoutMs, 0);
  checkSignal(options.signal);
  for (const flag of ['exclusive', 'readableAll', 'writableAll'] as const) checkFlag(flag, options[flag]);
  if (takeOver !== undefined) checkTakeOver(takeOver);
  if (required !== undefined && !Array.isArray(required))
    throw new TypeError(`required is a list of options, such as ['device'], not ${show(required)}`);
  for (const option of required ?? [])
    if (!socketOptionNames.includes(option))
      throw new TypeError(`${show(option)} in required is not an option of listen()`);
  const protocol = path !== undefined ? 'unix' : isUdpSocket(server) ? 'udp' : 'tcp';
  if (protocol === 'unix' && isUdpSocket(server)) throw new TypeError('A UDP socket has no path: give a port');
  if (protocol === 'unix' && busy === 'next') throw new TypeError("A path has no next one: busy 'next' is for ports");
  checkSocketOptions(options, protocol);
  return {
    server,
    options: port === undefined ? options : { ...options, port: portNumber(port) },
    protocol,
    backlog,
  };
}

function checkTakeOver(takeOver: TakeOverOptions): void {
  checkOptions('takeOver', takeOver, ['from', 'timeoutMs', 'force']);
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
  'backlog',
  'exclusive',
  'readableAll',
  'writableAll',
  'signal',
  'busy',
  'timeoutMs',
  'takeOver',
  'required',
];

function readTarget(target: ListenTarget, isUdp: boolean): ListenOptions {
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
  checkOptions('listen()', target, [...otherNames, ...socketOptionNames]);
  return target;
}
