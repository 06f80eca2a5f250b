/**
 * A client that survives restarts of its server: it connects again, with growing pauses, and never to itself.
 */
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import net, { type NetConnectOpts, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { checkSignal, milliseconds, portNumber, show } from '../check.ts';
import { parseEndpoint } from '../model/endpoint.ts';
import { checkOptions } from './arguments.ts';

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

/** What happened between two connections. */
export interface Retry {
  /** From 1, for each outage anew. */
  readonly attempt: number;
  readonly pauseMs: number;
  readonly error: NodeJS.ErrnoException;
}

/** What a client emits. */
export interface ClientEvents {
  /** Connected; `outageMs` is how long it took. */
  connect: [socket: Socket, connected: { readonly attempt: number; readonly outageMs: number }];
  /** The connection is gone, and a new one is being made. */
  disconnect: [];
  retry: [retry: Retry];
  /**
   * Given up, because the deadline is over: says after how long and why, and has the `code` of the last try, which is its `cause`.
   * Without a listener it is an uncaught error, unless somebody iterates.
   */
  error: [error: Error];
  /** Nothing follows. */
  close: [];
}

/** A port, a text such as `localhost:3000` or `./app.sock`, or options. */
export type ConnectTarget = number | string | ConnectOptions;

/** Refused by ourselves: the kernel had connected the socket to itself. */
class SelfConnectError extends Error {
  readonly code = 'ECONNREFUSED';
}

/**
 * Connects, and connects again whenever the connection ends, until `close()`. `connect(3000)` is `connect({ port: 3000 })`.
 *
 * @throws {TypeError} {RangeError} for wrong arguments.
 * @example
 * ```ts
 * const client = connect({ port: 3000 });
 * for await (const socket of client) {
 *   socket.write('hello again\n'); // once for every connection
 *   try {
 *     for await (const line of createInterface(socket)) console.log(line);
 *   } catch {
 *     // Reset instead of ended; the next connection follows either way.
 *   }
 * }
 * ```
 */
export function connect(target: ConnectTarget, options?: Omit<ConnectOptions, 'port' | 'host' | 'path'>): Client {
  return new Client(readOptions({ ...readTarget(target), ...options }));
}

/** A connection that comes back. Emits `connect`, `disconnect`, `retry`, `error` and `close`; iterating gives each connection in turn. */
export class Client extends EventEmitter<ClientEvents> implements AsyncIterable<Socket>, AsyncDisposable {
  readonly #options: Plan;
  readonly #end = new AbortController();
  #socket: Socket | null = null;
  #failure: Error | null = null;
  #iterated = false;

  /** @internal */
  constructor(options: Plan) {
    super();
    this.#options = options;
    const { signal } = options;
    if (signal !== undefined) {
      const stop = (): void => this.close();
      if (signal.aborted) this.#end.abort();
      else signal.addEventListener('abort', stop, { once: true });
      this.once('close', () => signal.removeEventListener('abort', stop));
    }
    setImmediate(() => void this.#run());
  }

  /** The connection that stands now, or null during an outage. */
  get socket(): Socket | null {
    return this.#socket;
  }

  /** Ends the connection and the tries. */
  close(): void {
    this.#end.abort();
    this.#socket?.destroy();
  }

  /** Each connection, the first and those after an outage, until `close()`. Throws when the deadline of an outage is over. Leaving the loop closes the client. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Socket, void, void> {
    this.#iterated = true;
    let last: Socket | null = null;
    try {
      while (!this.#end.signal.aborted) {
        const socket = await this.#next(last);
        if (socket === null) break;
        last = socket;
        yield socket;
      }
      if (this.#failure !== null) throw this.#failure;
    } finally {
      this.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /** A connection other than the last one; null when none will come. */
  #next(last: Socket | null): Promise<Socket | null> {
    const { promise, resolve } = defer<Socket | null>();
    const look = (): void => {
      if (this.#socket !== null && this.#socket !== last && !this.#socket.destroyed) resolve(this.#socket);
      else if (this.#end.signal.aborted) resolve(null);
    };
    this.on('connect', look);
    this.on('close', look);
    look();
    return promise.finally(() => {
      this.removeListener('connect', look);
      this.removeListener('close', look);
    });
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    const { longestPauseMs } = this.#options;
    let shortLived = 0;
    try {
      while (!signal.aborted) {
        const socket = await this.#reconnect();
        if (socket === null) break;
        const startMs = performance.now();
        if (!socket.destroyed) await new Promise<void>((resolve) => socket.once('close', () => resolve()));
        this.#socket = null;
        if (signal.aborted) break;
        this.emit('disconnect');
        // One that accepts and hangs up at once, as a proxy without its server does, is not asked thousands of times a second.
        const upMs = performance.now() - startMs;
        shortLived = upMs < longestPauseMs ? shortLived + 1 : 0;
        if (shortLived > 1) await pause(Math.max(0, this.#pauseMs(shortLived - 1) - upMs), signal);
      }
    } catch (error) {
      this.#failure = error as Error;
      this.#end.abort();
      if (!this.#iterated || this.listenerCount('error') > 0) this.emit('error', this.#failure);
    } finally {
      this.emit('close');
    }
  }

  /** A random quarter less, so that the clients of one server do not come back all at once. */
  #pauseMs(attempt: number): number {
    const { firstPauseMs, longestPauseMs } = this.#options;
    return Math.min(longestPauseMs, firstPauseMs * 2 ** (attempt - 1)) * (1 - Math.random() / 4);
  }

  /** Tries until one stands; null when it was closed meanwhile. Rejects with the last error when the deadline is over. */
  async #reconnect(): Promise<Socket | null> {
    const { deadlineMs } = this.#options;
    const startMs = performance.now();
    for (let attempt = 1; ; attempt++) {
      let error: NodeJS.ErrnoException;
      try {
        const socket = await attemptOnce(this.#options, this.#end.signal);
        this.#socket = socket;
        this.emit('connect', socket, { attempt, outageMs: performance.now() - startMs });
        return socket;
      } catch (failure) {
        if (this.#end.signal.aborted) return null;
        error = failure as NodeJS.ErrnoException;
      }
      const pauseMs = this.#pauseMs(attempt);
      const leftMs = startMs + deadlineMs - performance.now();
      // A wrong name or certificate does not get better, but it may be the server that is being replaced: only time decides.
      if (leftMs <= 0) throw gaveUp(this.#options.to, error, performance.now() - startMs, attempt);
      this.emit('retry', { attempt, pauseMs, error });
      await pause(Math.min(pauseMs, leftMs), this.#end.signal);
      if (this.#end.signal.aborted) return null;
    }
  }
}

interface Plan extends Required<Pick<ConnectOptions, 'deadlineMs' | 'attemptMs' | 'firstPauseMs' | 'longestPauseMs'>> {
  readonly to: NetConnectOpts;
  readonly tls: ConnectionOptions | null;
  readonly signal: AbortSignal | undefined;
}

/** With the fields of the last error, which is its cause. */
function gaveUp(to: NetConnectOpts, last: NodeJS.ErrnoException, afterMs: number, attempts: number): Error {
  const where = 'path' in to ? to.path : `${to.host}:${to.port}`;
  const tries = attempts === 1 ? '1 try' : `${attempts} tries`;
  const error = new Error(
    `Cannot connect to ${where}: gave up after ${(afterMs / 1000).toFixed(1)} s and ${tries}. The last one failed with ${reasonOf(last)}`,
    { cause: last },
  );
  const { code, errno, syscall, address, port } = last as NodeJS.ErrnoException & { address?: string; port?: number };
  const fields = Object.entries({ code, errno, syscall, address, port }).filter(([, value]) => value !== undefined);
  return Object.assign(error, Object.fromEntries(fields));
}

/** Node's error for a name with several addresses has no message of its own. */
function reasonOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return [...new Set(error.errors.map((each: Error) => each.message))].join(', ');
}

/** One try, over when the connection stands and is not one to itself. */
function attemptOnce({ to, tls: secure, attemptMs }: Plan, signal: AbortSignal): Promise<Socket> {
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

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

function defer<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const names = ['port', 'host', 'path', 'tls', 'deadlineMs', 'attemptMs', 'firstPauseMs', 'longestPauseMs', 'signal'];

function readTarget(target: ConnectTarget): ConnectOptions {
  if (typeof target === 'number') return { port: target };
  if (typeof target !== 'string') {
    checkOptions('connect()', target, names);
    return target;
  }
  const parsed = parseEndpoint(target);
  if (parsed.protocol === 'unix') return { path: parsed.path };
  if (parsed.protocol === 'udp') throw new TypeError(`${show(target)} is a UDP endpoint, and UDP has no connections`);
  return { port: parsed.port, ...(parsed.host !== null && { host: parsed.host }) };
}

function readOptions(options: ConnectOptions): Plan {
  checkOptions('connect()', options, names);
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
