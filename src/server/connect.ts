/**
 * A client that survives restarts of its server: it connects again, with growing pauses, and never to itself.
 */
import { EventEmitter } from 'node:events';
import type { NetConnectOpts, Socket } from 'node:net';
import type { ReachVerdict } from '../causes/connect/index.ts';
import { escapeText } from '../model/text.ts';
import { attemptOnce } from './connect-attempt.ts';
import { type ConnectOptions, type ConnectTarget, type Plan, readOptions, readTarget } from './connect-options.ts';

export type { ConnectOptions, ConnectTarget } from './connect-options.ts';

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
   * Given up, because the deadline is over: says after how long and why, and has the `code` of the last try, which is its `cause`, and
   * `verdict`, what stops a client as `reach` says it without another packet, or null.
   * Without a listener it is an uncaught error, unless somebody iterates.
   */
  error: [error: Error];
  /** Nothing follows. */
  close: [];
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
      if (leftMs <= 0) throw await gaveUp(this.#options.to, error, performance.now() - startMs, attempt);
      this.emit('retry', { attempt, pauseMs, error });
      await pause(Math.min(pauseMs, leftMs), this.#end.signal);
      if (this.#end.signal.aborted) return null;
    }
  }
}

/** With the fields of the last error, which is its cause. */
async function gaveUp(
  to: NetConnectOpts,
  last: NodeJS.ErrnoException,
  afterMs: number,
  attempts: number,
): Promise<Error> {
  const verdict = await whyNot(to);
  const where = 'path' in to ? to.path : `${to.host}:${to.port}`;
  const tries = attempts === 1 ? '1 try' : `${attempts} tries`;
  const error = new Error(
    `Cannot connect to ${where}: gave up after ${(afterMs / 1000).toFixed(1)} s and ${tries}. The last one failed with ${reasonOf(last)}${verdict === null ? '' : `. ${escapeText(verdict.sentence)}`}`,
    { cause: last },
  );
  Object.defineProperty(error, 'verdict', { value: verdict, configurable: true });
  const { code, errno, syscall, address, port } = last as NodeJS.ErrnoException & { address?: string; port?: number };
  const fields = Object.entries({ code, errno, syscall, address, port }).filter(([, value]) => value !== undefined);
  return Object.assign(error, Object.fromEntries(fields));
}

/** What stops a client now, told without another packet; null where nothing is known. */
async function whyNot(to: NetConnectOpts): Promise<ReachVerdict | null> {
  const [{ foresee }, { os }] = await Promise.all([import('../reach/foresee.ts'), import('../os/index.ts')]);
  if ('path' in to) return foresee({ protocol: 'unix', path: to.path }, os());
  return foresee({ protocol: 'tcp', address: to.host ?? 'localhost', port: Number(to.port) }, os());
}

/** Node's error for a name with several addresses has no message of its own. */
function reasonOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return [...new Set(error.errors.map((each: Error) => each.message))].join(', ');
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
