/**
 * One accepted connection as it is now: what reads and writes on it may change while it is open.
 */
import type { ServerResponse } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import { upgradeOf } from './connections.ts';
import { hidden, sessionOn, tlsSocketOn } from './hidden.ts';

export class Connection {
  /** The TCP or Unix socket. */
  readonly raw: Socket;
  /** What the program reads and writes: the TLS socket on top of `raw`, or `raw` itself. */
  readonly outer: Socket;
  readonly #server: Server;
  #session: ServerHttp2Session | null = null;

  constructor(server: Server, raw: Socket) {
    this.#server = server;
    this.raw = raw;
    this.outer = tlsSocketOn(raw) ?? raw;
  }

  /** The HTTP/2 session that owns it, also after its end; null for none. */
  get session(): ServerHttp2Session | null {
    if (this.#session === null && speaksHttp2(this.#server)) this.#session = sessionOn(this.outer);
    return this.#session;
  }

  /** What an HTTP/1.1 upgrade turned it into: `websocket`, another protocol's name, `unknown`, or null. */
  get upgraded(): string | null {
    // The package `ws`, which engine.io and others use, marks the sockets that it owns, after it has accepted them.
    if (hidden(this.outer, 'websocket') !== undefined) return 'websocket';
    const asked = upgradeOf(this.raw);
    // Before the program's 101 a frame would be read as a part of the answer.
    if (asked !== null) return this.outer.bytesWritten > asked.bytesWritten ? asked.protocol : 'unknown';
    if (this.#speaks !== 'http1') return null;
    // Node gives each HTTP/1.1 connection a parser at once, and takes it away when the program gets the socket; where the request has a body
    // Node 26 does so after it, and until then the request counts as half read.
    return parserOf(this.outer) === null ? 'unknown' : null;
  }

  /** True for TLS. */
  get isSecure(): boolean {
    return this.outer !== this.raw;
  }

  /** What was written and is not yet with the kernel. */
  get unsentBytes(): number {
    const { _handle: handle } = this.raw as { _handle?: { readonly writeQueueSize?: number } | null };
    return this.raw.writableLength + (handle?.writeQueueSize ?? 0);
  }

  /** True during a TLS handshake. */
  get isSecuring(): boolean {
    return (this.outer as { _secureEstablished?: boolean })._secureEstablished === false;
  }

  /** True when what is under way on it cannot be known, so that only the grace may end it. */
  get isOpaque(): boolean {
    // Each server of Node that speaks TLS has this method.
    if ('setSecureContext' in this.#server && this.outer === this.raw) return true;
    return this.#speaks === 'http2' && this.session === null && this.outer.bytesRead > 0;
  }

  /** The HTTP/1.1 answer that is being given on it, or null. Node keeps it under this name since 0.x. */
  get answer(): ServerResponse | null {
    const message = (this.outer as { _httpMessage?: ServerResponse | null })._httpMessage ?? null;
    return message === null || message.writableFinished ? null : message;
  }

  /** True when the head of a request has come in part. Only Node's own list of parsers knows; without it the linger decides. */
  get isHalfRead(): boolean {
    const parsers = hidden(this.#server, 'http.server.connections') as
      | { active?: () => { socket?: Socket }[] }
      | undefined;
    return this.outer.bytesRead > 0 && (parsers?.active?.().some(({ socket }) => socket === this.outer) ?? false);
  }

  /** True when the client has sent its end, and the program may be about to answer. */
  get isHalfOpen(): boolean {
    const { allowHalfOpen, readableEnded, writable } = this.outer;
    return allowHalfOpen && readableEnded && writable && this.#speaks === 'bytes';
  }

  get #speaks(): 'http1' | 'http2' | 'bytes' | 'nothing yet' {
    if (this.isSecuring) return 'nothing yet';
    // The constructor of http's and https's servers sets this property.
    if ('maxHeadersCount' in this.#server) return 'http1';
    if (!speaksHttp2(this.#server)) return 'bytes';
    const { alpnProtocol } = this.outer as { alpnProtocol?: string | false | null };
    // False: the client did not take part in ALPN.
    return alpnProtocol === false || alpnProtocol === 'http/1.1' ? 'http1' : 'http2';
  }

  /** Bytes in both directions. */
  get traffic(): number {
    return this.outer.bytesRead + this.outer.bytesWritten;
  }
}

function speaksHttp2(server: Server): boolean {
  return 'updateSettings' in server;
}

function parserOf(socket: Socket): object | null {
  return (socket as { parser?: object | null }).parser ?? null;
}
