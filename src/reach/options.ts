/**
 * What `reach` takes, checked before anything is looked at.
 */
import { checkFlag, checkNames, checkSignal, milliseconds, nameOf, portNumber } from '../check.ts';
import { type ParsedTarget, parseTarget, type Speaks } from '../model/reach/target.ts';

/** `port` and `host` as in Node's `net.connect`; `path` for a Unix socket. */
export type ConnectLike =
  | {
      readonly port: number;
      readonly host?: string | undefined;
      readonly protocol?: 'tcp' | 'udp' | undefined;
      readonly speaks?: Speaks | null | undefined;
    }
  | { readonly path: string; readonly speaks?: Speaks | null | undefined };

/** A port of localhost, a text such as `db.internal:5432` or `http://localhost:5173/`, a URL, or what `net.connect` takes. */
export type ReachTarget = string | number | URL | ConnectLike;

/** How far to go. */
export interface ReachOptions {
  /**
   * Sends one request and waits for the answer: a GET for HTTP, the first message of TLS.
   * @default true for a URL of http, https, ws or wss, false for everything else
   */
  readonly request?: boolean | undefined;
  /**
   * Connects once to each address and closes at once. False looks only at what needs no packet: for servers that serve one connection.
   * @default true
   */
  readonly connect?: boolean | undefined;
  /**
   * How long all of it may take, in milliseconds. Where it is given, a request waits for its answer through most of it; else 1000, or 3000 for
   * another host.
   *
   * @default 15000
   */
  readonly timeoutMs?: number | undefined;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The options as they were read. */
export interface Plan {
  readonly parsed: ParsedTarget;
  readonly request: boolean;
  readonly connect: boolean;
  readonly timeoutMs: number;
  /** A time was given, so a slow answer is waited for. */
  readonly patient: boolean;
  readonly signal: AbortSignal | undefined;
}

const defaultTimeoutMs = 15_000;

const names = Object.keys({
  request: true,
  connect: true,
  timeoutMs: true,
  signal: true,
} satisfies Record<keyof ReachOptions, true>);

/**
 * @throws {TypeError} when the target or an option has the wrong type.
 * @throws {RangeError} when it has the right type and no meaning.
 */
export function readPlan(target: ReachTarget, options: ReachOptions): Plan {
  checkNames('reach()', options, names);
  checkFlag('request', options.request);
  checkFlag('connect', options.connect);
  checkSignal(options.signal);
  const parsed = readTarget(target);
  const connect = options.connect ?? true;
  if (!connect && options.request === true)
    throw new RangeError('request: true needs a connection, so it does not go together with connect: false');
  return {
    parsed,
    request: connect && (options.request ?? parsed.url),
    connect,
    timeoutMs: milliseconds('timeoutMs', options.timeoutMs, defaultTimeoutMs),
    patient: options.timeoutMs !== undefined,
    signal: options.signal,
  };
}

function readTarget(target: ReachTarget): ParsedTarget {
  if (typeof target === 'string') return parseTarget(target);
  if (typeof target === 'number') return parsedOf({ protocol: 'tcp', host: 'localhost', port: target, speaks: null });
  if (target instanceof URL) return parseTarget(target.href);
  if (typeof target !== 'object' || target === null)
    throw new TypeError(
      `A target is a port, a text, a URL, or an object with port or path: received ${nameOf(target)}`,
    );
  const { protocol = 'tcp', path, port, host = 'localhost', speaks = null } = target as Record<string, unknown>;
  if (speaks !== null && speaks !== 'http' && speaks !== 'tls')
    throw new RangeError(`speaks is http or tls: received ${nameOf(speaks)}`);
  if (path !== undefined) {
    if (typeof path !== 'string') throw new TypeError(`path must be a string: received ${nameOf(path)}`);
    if (path === '' || path.includes('\0', 1)) throw new RangeError('path must name a socket');
    return { target: { protocol: 'unix', path, speaks }, path: '/', url: false };
  }
  if (protocol !== 'tcp' && protocol !== 'udp')
    throw new RangeError(`protocol must be tcp or udp: received ${nameOf(protocol)}`);
  if (typeof host !== 'string') throw new TypeError(`host must be a string: received ${nameOf(host)}`);
  if (typeof port !== 'number') throw new TypeError(`port must be a number: received ${nameOf(port)}`);
  return parsedOf({ protocol, host: host === '' ? 'localhost' : host, port, speaks });
}

function parsedOf(target: Exclude<ParsedTarget['target'], { protocol: 'unix' }>): ParsedTarget {
  if (portNumber(target.port) === 0)
    throw new RangeError('Nothing can be reached on port 0: a port is a whole number from 1 to 65535');
  return { target, path: '/', url: false };
}
