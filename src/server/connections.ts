/**
 * Which connections a server has. Node keeps no list of them. From `connectionsOf` on, Node publishes each accepted socket
 * (diagnostics channel `net.server.socket`); earlier ones are found among the open handles. Nothing is added to the server or to its sockets.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage as Request } from 'node:http';
import type { Server, Socket } from 'node:net';
import { hidden, rawSocketOf } from './hidden.ts';

/** The open connections of one server, as accepted: below TLS. */
export interface Connections {
  open(): Socket[];
  /** Calls back for every connection that is accepted from now on. The last call counts; null ends it. */
  onConnection(notify: ((raw: Socket) => void) | null): void;
}

const lists = new WeakMap<Server, List>();

/** Starts the list of a server's connections, or returns the one that exists. */
export function connectionsOf(server: Server): Connections {
  let list = lists.get(server);
  if (list === undefined) {
    list = new List(server);
    if (!isSubscribed) subscribe('net.server.socket', accepted);
    isSubscribed = true;
    lists.set(server, list);
  }
  return list;
}

let isSubscribed = false;

function accepted(message: unknown): void {
  const { socket } = message as { readonly socket: ServerSocket };
  if (socket._server !== undefined && socket._server !== null) lists.get(socket._server)?.add(socket);
}

/** Below this many entries the list is not searched for closed sockets. */
const fewest = 64;

class List implements Connections {
  readonly #server: Server;
  // Weak: a program may remove every listener of a socket, so that nothing would tell us that it is closed.
  #sockets = new Set<WeakRef<Socket>>();
  #limit = fewest;
  #notify: ((raw: Socket) => void) | null = null;

  constructor(server: Server) {
    this.#server = server;
  }

  add(raw: Socket): void {
    if (raw.destroyed) return;
    this.#sockets.add(new WeakRef(raw));
    if (this.#sockets.size > this.#limit) this.#sweep();
    this.#notify?.(raw);
  }

  open(): Socket[] {
    const found = new Set<Socket>();
    for (const reference of this.#sockets) {
      const socket = reference.deref();
      if (socket !== undefined) found.add(socket);
    }
    for (const socket of handlesOf(this.#server)) found.add(socket);
    return [...found].filter((socket) => !socket.destroyed);
  }

  onConnection(notify: ((raw: Socket) => void) | null): void {
    this.#notify = notify;
  }

  #sweep(): void {
    this.#sockets = new Set([...this.#sockets].filter((reference) => reference.deref()?.destroyed === false));
    this.#limit = Math.max(fewest, 2 * this.#sockets.size);
  }
}

type ServerSocket = Socket & { readonly _server?: Server | null };

/** Connections that were accepted before the list began, and those that a program gave to the server itself. */
function* handlesOf(server: Server): Iterable<Socket> {
  // Undocumented, but the same in every Node from 0.x to 26. Leaves out sockets that were unref'd.
  const handles = (process as { _getActiveHandles?: () => object[] })._getActiveHandles?.() ?? [];
  for (const handle of handles) if ((handle as ServerSocket)._server === server) yield handle as Socket;
  // Node's own list of HTTP/1.1 parsers has these too.
  const parsers = hidden(server, 'http.server.connections') as
    | { all?: () => { readonly socket?: Socket | null }[] }
    | undefined;
  for (const { socket } of parsers?.all?.() ?? []) {
    const raw = socket == null ? null : rawSocketOf(socket);
    if (raw !== null && '_server' in raw) yield raw;
  }
}

/** What a client asked to upgrade a connection to. */
export interface Upgrade {
  /** `websocket`, another protocol's name, or `connect`. */
  readonly protocol: string;
  /** `bytesWritten` of the socket when it was asked: more than that, and the program has answered. */
  readonly bytesWritten: number;
}

/** `upgrade` is private in Node: true for a request that takes its connection with it. */
type IncomingMessage = Request & { readonly upgrade?: boolean | null };

const upgrades = new WeakMap<Socket, Upgrade>();

/** The upgrade of a connection as far as `followUpgrades` saw. */
export function upgradeOf(raw: Socket): Upgrade | null {
  return upgrades.get(raw) ?? null;
}

interface Parser {
  finish(): unknown;
  readonly incoming?: IncomingMessage | null;
}

let isFollowing = false;

/**
 * Notes from now on what connections are upgraded to, which Node forgets at once. It finishes their parser just before it emits 'upgrade' or
 * 'connect' (onParserExecuteCommon in lib/_http_server.js, Node 20 to 26): so nothing is added to a server, where a listener for these events would
 * change what it answers.
 */
export function followUpgrades(server: Server): void {
  const speaksHttp = 'maxHeadersCount' in server || 'updateSettings' in server;
  if (isFollowing || !speaksHttp) return;
  isFollowing = true;
  const { HTTPParser } = (process.getBuiltinModule('_http_common') ?? {}) as { HTTPParser?: { prototype: Parser } };
  const own = HTTPParser === undefined ? undefined : Object.getOwnPropertyDescriptor(HTTPParser.prototype, 'finish');
  if (HTTPParser === undefined || own === undefined) return;
  const plain = own.value as Parser['finish'];
  const value = function (this: Parser): unknown {
    const { incoming } = this;
    if (incoming?.upgrade === true) note(incoming);
    return Reflect.apply(plain, this, []);
  };
  Object.defineProperty(HTTPParser.prototype, 'finish', { ...own, value });
}

/** Not the event's own socket: for a request with a body newer Nodes give a stream that is none. */
function note({ socket, headers, method }: IncomingMessage): void {
  const protocol = (headers.upgrade ?? method ?? 'unknown').toLowerCase();
  upgrades.set(rawSocketOf(socket), { protocol, bytesWritten: socket.bytesWritten });
}
