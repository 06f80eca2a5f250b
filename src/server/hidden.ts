/**
 * What Node keeps to itself and a drain has to know. Each reader returns nothing where a Node has it otherwise.
 */
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';

/** What Node or a package keeps on an object under a private symbol. */
export function hidden(holder: object, description: string): unknown {
  const key = Object.getOwnPropertySymbols(holder).find((symbol) => symbol.description === description);
  return key === undefined ? undefined : (holder as Record<symbol, unknown>)[key];
}

/** The socket below a TLS socket, or the socket itself. */
export function rawSocketOf(socket: Socket): Socket {
  return (socket as { _handle?: { _parentWrap?: Socket } | null })._handle?._parentWrap ?? socket;
}

/** The listener by which every TLS socket hears of errors of the socket below it (lib/internal/tls/wrap.js, the same in Node 20 to 26). */
const errorListener = '(err) => this._emitTLSError(err)';

/**
 * The TLS socket on top of a socket, or null. Nothing in Node leads from the one to the other but this listener,
 * so it is called once, without an error, while the method that it calls only notes whose it is.
 */
export function tlsSocketOn(raw: Socket): Socket | null {
  for (const listener of raw.listeners('error')) {
    if (String(listener) !== errorListener) continue;
    const { prototype } = process.getBuiltinModule('node:tls').TLSSocket;
    const method = Object.getOwnPropertyDescriptor(prototype, '_emitTLSError');
    if (method === undefined || method.configurable !== true) return null;
    let found: Socket | null = null;
    Object.defineProperty(prototype, '_emitTLSError', {
      configurable: true,
      value(this: Socket) {
        found = this;
      },
    });
    try {
      Reflect.apply(listener, raw, [null]);
    } finally {
      Object.defineProperty(prototype, '_emitTLSError', method);
    }
    if (found !== null && rawSocketOf(found) === raw) return found;
  }
  return null;
}

/** Under which name a socket has its HTTP/2 session: `kBoundSession`, which is undefined in Node 20 to 26, so that the name is "undefined". */
let sessionKey: PropertyKey | null = null;

/** The HTTP/2 session that owns a socket, or null. */
export function sessionOn(socket: Socket): ServerHttp2Session | null {
  if (sessionKey !== null) return asSession((socket as never)[sessionKey]);
  for (const key of Reflect.ownKeys(socket)) {
    const session = asSession((socket as never)[key]);
    if (session === null) continue;
    sessionKey = key;
    return session;
  }
  return null;
}

function asSession(value: unknown): ServerHttp2Session | null {
  const session = value as Partial<ServerHttp2Session> | null | undefined;
  return typeof session === 'object' && typeof session?.goaway === 'function' ? (session as ServerHttp2Session) : null;
}

/** How many streams of a session are open, or null where that is not known. */
export function openStreams(session: ServerHttp2Session): number | null {
  const state = hidden(session, 'state') as { readonly streams?: ReadonlyMap<number, unknown> } | undefined;
  return state?.streams?.size ?? null;
}
