/**
 * What was asked of `connect`, checked before anything is opened.
 */
import type { NetConnectOpts } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { checkNames, checkSignal, milliseconds, portNumber, show } from '../check.ts';
import { parseEndpoint } from '../model/endpoint.ts';

/** Where to connect, and how patiently. */
export interface ConnectOptions {
  /** A number, also as text. */
  readonly port?: number | string;
  /** @default 'localhost' */
  readonly host?: string;
  /** A Unix socket instead. */
  readonly path?: string;
  /** TLS, with the options of `tls.connect`; `true` for none. */
  readonly tls?: boolean | ConnectionOptions;
  /** How long one outage may last, the first connection included, until it is given up. @default 30000 */
  readonly deadlineMs?: number;
  /** How long one try may take. @default 5000 */
  readonly attemptMs?: number;
  /** The first pause; each further one is twice as long, up to `longestPauseMs`, with up to a quarter less at random. A server that hangs up at once is paused for alike. @default 25 */
  readonly firstPauseMs?: number;
  /** @default 1000 */
  readonly longestPauseMs?: number;
  /** Aborting ends the connection and the tries. */
  readonly signal?: AbortSignal;
}

/** A port, a text such as `localhost:3000` or `./app.sock`, or options. */
export type ConnectTarget = number | string | ConnectOptions;

/** The options as they were read. */
export interface Plan
  extends Required<Pick<ConnectOptions, 'deadlineMs' | 'attemptMs' | 'firstPauseMs' | 'longestPauseMs'>> {
  readonly to: NetConnectOpts;
  readonly tls: ConnectionOptions | null;
  readonly signal: AbortSignal | undefined;
}

const names = ['port', 'host', 'path', 'tls', 'deadlineMs', 'attemptMs', 'firstPauseMs', 'longestPauseMs', 'signal'];

export function readTarget(target: ConnectTarget): ConnectOptions {
  if (typeof target === 'number') return { port: target };
  if (typeof target !== 'string') {
    checkNames('connect()', target, names);
    return target;
  }
  const parsed = parseEndpoint(target);
  if (parsed.protocol === 'unix') return { path: parsed.path };
  if (parsed.protocol === 'udp') throw new TypeError(`${show(target)} is a UDP endpoint, and UDP has no connections`);
  return { port: parsed.port, ...(parsed.host !== null && { host: parsed.host }) };
}

export function readOptions(options: ConnectOptions): Plan {
  checkNames('connect()', options, names);
  checkSignal(options.signal);
  const { port, host = 'localhost', path, tls: secure = false } = options;
  if (typeof secure !== 'boolean' && (typeof secure !== 'object' || secure === null))
    throw new TypeError(`tls is true, false, or the options of tls.connect, not ${show(secure)}`);
  if ((port === undefined) === (path === undefined)) throw new TypeError('connect() needs either a port or a path');
  if (path !== undefined && (typeof path !== 'string' || path === ''))
    throw new TypeError(`A path is a text that is not empty, not ${show(path)}`);
  if (typeof host !== 'string') throw new TypeError(`A host is an address or a name, not ${show(host)}`);
  if (port !== undefined && portNumber(port) === 0) throw new RangeError('Nobody can be reached on port 0');
  return {
    to: path === undefined ? { port: portNumber(port), host } : { path },
    tls: secure === false ? null : secure === true ? {} : secure,
    deadlineMs: milliseconds('deadlineMs', options.deadlineMs, 30_000),
    attemptMs: milliseconds('attemptMs', options.attemptMs, 5000),
    firstPauseMs: milliseconds('firstPauseMs', options.firstPauseMs, 25),
    longestPauseMs: milliseconds('longestPauseMs', options.longestPauseMs, 1000),
    signal: options.signal,
  };
}
