/**
 * Which connections a server has. Node keeps no list of them, so `listen` starts one; for a server that was started
 * elsewhere the list is completed from the handles that are alive. One set operation a connection, nothing a request.
 */
import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';

/** One accepted connection. */
export interface Connection {
  /** The TCP or Unix socket. */
  readonly raw: Socket;
  /** What the program reads and writes: the TLS socket on top of `raw`, or `raw` itself. */
  outer: Socket;
  /** The HTTP/2 session that owns it, or null. */
  session: ServerHttp2Session | null;
  /** What an HTTP/1.1 upgrade turned it into: `websocket`, another protocol's name, or null. */
  upgraded: string | null;
}

/** The open connections of one server. */
export interface Connections extends Iterable<Connection> {
  readonly size: number;
  /** Calls back for every connection that is made from now on; one at a time, the last call counts. */
  onConnection(notify: (connection: Connection) => void): void;
}

const lists = new WeakMap<Server, List>();

/** Starts the list of a server's connections, or returns the one that exists. Connections that are open already are found too. */
export function connectionsOf(server: Server): Connections {
  let list = lists.get(server);
  if (list === undefined) {
    list = new List(server);
    lists.set(server, list);
  }
  return list;
}

class List implements Connections {
  readonly #byRaw = new Map<Socket, Connection>();
  #notify: ((connection: Connection) => void) | undefined;

  constructor(server: Server) {
    // First in line: a listener that ends the socket at once must not hide it from the list.
    server.prependListener('connection', (raw: Socket) => this.#add(raw));
    server.prependListener('secureConnection', (outer: Socket) => this.#wrap(outer));
    server.prependListener('session', (session: ServerHttp2Session) => this.#open(session));
    this.#followUpgrades(server);
    this.#findOpen(server);
  }

  get size(): number {
    return this.#byRaw.size;
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#byRaw.values();
  }

  onConnection(notify: (connection: Connection) => void): void {
    this.#notify = notify;
  }

  #add(raw: Socket): Connection {
    const known = this.#byRaw.get(raw);
    if (known !== undefined) return known;
    const connection: Connection = { raw, outer: raw, session: null, upgraded: null };
    this.#byRaw.set(raw, connection);
    raw.once('close', () => this.#byRaw.delete(raw));
    this.#notify?.(connection);
    return connection;
  }

  #wrap(outer: Socket): void {
    const raw = rawSocketOf(outer);
    if (!raw.destroyed) this.#add(raw).outer = outer;
  }

  #open(session: ServerHttp2Session): void {
    const socket = hidden(session, 'socket') ?? session.socket;
    for (const connection of this.#byRaw.values()) {
      if (connection.outer === socket) connection.session = session;
    }
  }

  /** A listener for 'upgrade' changes what an HTTP server does with upgrade requests, so there is one only while the program has one. */
  #followUpgrades(server: Server): void {
    const note = (request: IncomingMessage, socket: Socket): void => {
      const connection = this.#byRaw.get(rawSocketOf(socket));
      if (connection !== undefined)
        connection.upgraded = (request.headers.upgrade ?? request.method ?? 'unknown').toLowerCase();
    };
    for (const event of ['upgrade', 'connect']) {
      if (server.listenerCount(event) > 0) server.prependListener(event, note);
    }
    server.on('newListener', (event: string, listener: unknown) => {
      if ((event === 'upgrade' || event === 'connect') && listener !== note && !server.listeners(event).includes(note))
        server.prependListener(event, note);
    });
    server.on('removeListener', (event: string, listener: unknown) => {
      if ((event === 'upgrade' || event === 'connect') && listener !== note && server.listenerCount(event) === 1)
        server.removeListener(event, note);
    });
  }

  /** Connections made before the list began. */
  #findOpen(server: Server): void {
    // Undocumented, but the same in every Node from 0.x to 26, and only a completion: without it the list begins now.
    const handles = (process as { _getActiveHandles?: () => unknown[] })._getActiveHandles?.() ?? [];
    const sockets = handles.filter(isServerSocket);
    for (const socket of sockets) {
      if (socket._server === server && !socket.destroyed) this.#add(socket);
    }
    for (const socket of sockets) {
      if (socket.server === server && socket._server !== server) this.#wrap(socket);
    }
    // Node 24 and later list the sessions of an HTTP/2 server.
    const sessions = hidden(server, 'sessions');
    if (sessions instanceof Set) for (const session of sessions) this.#open(session as ServerHttp2Session);
    for (const connection of this.#byRaw.values()) connection.upgraded ??= hiddenUpgrade(connection.outer);
  }
}

/** The socket below a TLS socket, or the socket itself. */
export function rawSocketOf(socket: Socket): Socket {
  return (socket as { _handle?: { _parentWrap?: Socket } | null })._handle?._parentWrap ?? socket;
}

type ServerSocket = Socket & { readonly server?: Server; readonly _server?: Server };

function isServerSocket(handle: unknown): handle is ServerSocket {
  return typeof handle === 'object' && handle !== null && 'destroyed' in handle && 'server' in handle;
}

/** The package `ws` marks the sockets that it owns. */
function hiddenUpgrade(socket: Socket): string | null {
  return hidden(socket, 'websocket') === undefined ? null : 'websocket';
}

/** What Node or a package keeps on an object under a private symbol. */
export function hidden(holder: object, description: string): unknown {
  const key = Object.getOwnPropertySymbols(holder).find((symbol) => symbol.description === description);
  return key === undefined ? undefined : (holder as Record<symbol, unknown>)[key];
}
