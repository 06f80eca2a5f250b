/**
 * A `listen` that is under way. `close` wins against it, whatever it waits for: the rest of a module, a host name, a port, an older instance.
 */

/** What can be closed while it is about to listen: a server or a UDP socket. */
interface Closable {
  close(...args: unknown[]): unknown;
}

const pendings = new WeakMap<object, Pending>();

/** @internal */
export class Pending {
  /** Resolves when it is over, one way or the other. */
  readonly ended: Promise<void>;
  /** An earlier one of the same server that was closed and is not over yet. */
  readonly earlier: Promise<void> | null;
  readonly #server: Closable;
  readonly #closed = new AbortController();
  readonly #own: PropertyDescriptor | undefined;
  readonly #close: Closable['close'];
  #end: () => void = () => {};

  constructor(server: Closable, earlier: Promise<void> | null) {
    this.earlier = earlier;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#server = server;
    this.#own = Object.getOwnPropertyDescriptor(server, 'close');
    const plain = server.close;
    this.#close = (...args) => {
      this.cancel();
      return Reflect.apply(plain, server, args);
    };
    // Node emits 'close' later, and not at all while connections of an earlier time are open.
    Object.defineProperty(server, 'close', { configurable: true, writable: true, value: this.#close });
  }

  /** Aborted when the server was closed, with what the promise rejects with. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  cancel(reason: unknown = closedError()): void {
    this.#closed.abort(reason);
  }

  end(): void {
    if (pendings.get(this.#server) === this) pendings.delete(this.#server);
    if (this.#server.close === this.#close) {
      if (this.#own === undefined) Reflect.deleteProperty(this.#server, 'close');
      else Object.defineProperty(this.#server, 'close', this.#own);
    }
    this.#end();
  }
}

/** @internal Null when another `listen` of this server is under way, or it is nothing that could listen. The caller ends it. */
export function beginListen(server: unknown): Pending | null {
  if (typeof server !== 'object' || server === null || typeof (server as Partial<Closable>).close !== 'function')
    return null;
  const other = pendings.get(server);
  if (other !== undefined && !other.signal.aborted) return null;
  const pending = new Pending(server as Closable, other?.ended ?? null);
  pendings.set(server, pending);
  return pending;
}

/** @internal Ends a `listen` that is under way; resolves when it is over. Null when there is none. */
export function cancelListen(server: object): Promise<void> | null {
  const pending = pendings.get(server);
  pending?.cancel();
  return pending?.ended ?? null;
}

/** @internal As Node's own error, with what to do. */
export function alreadyListens(): TypeError {
  return Object.assign(
    new TypeError('This server listens already, or is about to: close it first, or make another one'),
    { code: 'ERR_SERVER_ALREADY_LISTEN' },
  );
}

/** Node has this code for a server that is closed and does not listen. */
const closedCode = 'ERR_SERVER_NOT_RUNNING';

/** @internal */
export function closedError(): Error {
  return Object.assign(new Error('The server was closed before it listened, so it does not listen'), {
    code: closedCode,
  });
}

/** @internal */
export function isClosedError(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === closedCode;
}
