/**
 * Where Node's own handles are bound: the lowest place that JavaScript can reach, below net, http, tls, dgram and cluster.
 *
 * The held descriptor is opened by the very handle that was about to be bound, so everything above it is Node's own: the order of events,
 * errors and where they are thrown, `address()`, `_handle`, what is sent to children. No listener is added and no function of a server replaced.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import net, { type Server } from 'node:net';
import {
  type Bind,
  type Connect,
  createHandle,
  type Handle,
  type Listen,
  type Prototype,
  pipePrototype,
  tcpPrototype,
  udpPrototype,
} from './bindings.ts';

/** What is asked at each of these places. A result of 0 is success, any other a negative errno. */
export interface Places {
  /** Before a listening handle is bound: 0 when it has a socket now, null when Node is to bind it. */
  bindTcp(handle: Handle, address: string, port: number, flags: number): 0 | null;
  bindPipe(handle: Handle, path: string): 0 | null;
  bindUdp(handle: Handle, address: string, port: number, flags: number): 0 | null;
  /** What the kernel said to a bind of Node's own. */
  bound(handle: Handle, address: string, port: number, error: number): void;
  /** Instead of listen(2): it calls `plain`, or does so later. */
  listen(handle: Handle, backlog: number, plain: (backlog: number) => number): number;
  /** True when a client of this process is to be refused there, as it would be without hold. */
  refusesTcp(address: string, port: number): boolean;
  refusesPipe(path: string): boolean;
  /** A cluster worker's server listens on a handle that its primary has. */
  sharing(server: Server): void;
}

/** Puts `places` between Node and the kernel, once in a thread. */
export function install(places: Places): void {
  const tcp = tcpPrototype();
  const pipe = pipePrototype();
  const udp = udpPrototype();
  refuseClients(places, tcp, pipe);
  for (const family of ['bind', 'bind6'] as const) {
    replace(
      tcp,
      family,
      (plain: Bind) =>
        function (this: Handle, ...args) {
          const [address, port = 0, flags = 0] = args;
          // A client that chooses its own port belongs to a net.Socket before it is bound; a server is made afterwards.
          const isServer = ownerOf(this) === null;
          if (isServer && safely(() => places.bindTcp(this, address, port, flags)) === 0) return 0;
          const error = Reflect.apply(plain, this, args) as number;
          if (isServer) safely(() => places.bound(this, address, port, error));
          return error;
        } satisfies Bind,
    );
    replace(
      udp,
      family,
      (plain: Bind) =>
        function (this: Handle, ...args) {
          const [address, port = 0, flags = 0] = args;
          if (safely(() => places.bindUdp(this, address, port, flags)) === 0) return 0;
          return Reflect.apply(plain, this, args) as number;
        } satisfies Bind,
    );
  }
  replace(
    pipe,
    'bind',
    (plain: Bind) =>
      function (this: Handle, ...args) {
        if (safely(() => places.bindPipe(this, args[0])) === 0) return 0;
        return Reflect.apply(plain, this, args) as number;
      } satisfies Bind,
  );
  for (const prototype of [tcp, pipe]) {
    replace(
      prototype,
      'listen',
      (plain: Listen) =>
        function (this: Handle, ...args) {
          const called = { yet: false };
          const listen = (backlog: number): number => {
            called.yet = true;
            return Reflect.apply(plain, this, [backlog]) as number;
          };
          const result = safely(() => places.listen(this, args[0], listen));
          return result ?? (called.yet ? 0 : (Reflect.apply(plain, this, args) as number));
        } satisfies Listen,
    );
  }
  onPrimaryAnswer((of) => {
    if (of instanceof net.Server) process.nextTick(() => safely(() => places.sharing(of)));
  });
}

/**
 * The queue of a held socket answers for a server that does not listen. Within the program the kernel refuses instead: the client is led to where
 * nobody listens, and what it asked for stands in its error, as Node takes that from its own request.
 */
function refuseClients(places: Places, tcp: Prototype | null, pipe: Prototype | null): void {
  for (const [connect, bind, loopback] of [
    ['connect', 'bind', '127.0.0.1'],
    ['connect6', 'bind6', '::1'],
  ] as const) {
    const plainBind = tcp?.[bind];
    replace(
      tcp,
      connect,
      (plain: Connect) =>
        function (this: Handle, ...args) {
          const [request, address, port = 0] = args;
          if (safely(() => places.refusesTcp(address, port)) !== true || isBound(this))
            return Reflect.apply(plain, this, args) as number;
          const bound = safely(() => boundPort(this, plainBind, loopback)) ?? null;
          if (bound === null) return Reflect.apply(plain, this, args) as number;
          onClose(this, () => bound.handle.close());
          return Reflect.apply(plain, this, [request, loopback, bound.port]) as number;
        } satisfies Connect,
    );
  }
  replace(
    pipe,
    'connect',
    (plain: Connect) =>
      function (this: Handle, ...args) {
        const [request, path] = args;
        const refuses = safely(() => places.refusesPipe(path)) === true;
        // An abstract name that nobody has.
        return Reflect.apply(plain, this, refuses ? [request, `\0rebind-refused/${process.pid}`] : args) as number;
      } satisfies Connect,
  );
}

/** A client that chose its own port, or address, cannot be led elsewhere. */
function isBound(handle: Handle): boolean {
  const at: { port?: number } = {};
  return handle.getsockname?.(at) === 0 && (at.port ?? 0) !== 0;
}

/** A port that is bound and not listened on: the kernel refuses every client, and gives the port to no other program. */
function boundPort(
  like: Handle,
  bind: Bind | undefined,
  address: string,
): { readonly handle: Handle; readonly port: number } | null {
  const { constructor: Made } = Object.getPrototypeOf(like) as { constructor: new (type: number) => Handle };
  // TCPConstants.SOCKET (src/tcp_wrap.h).
  const handle = new Made(0);
  handle.unref();
  const at: { port?: number } = {};
  const isBoundNow = bind !== undefined && Reflect.apply(bind, handle, [address, 0, 0]) === 0;
  if (isBoundNow && handle.getsockname?.(at) === 0 && at.port !== undefined) return { handle, port: at.port };
  handle.close();
  return null;
}

/** Runs what is ours: a failure of it is never the program's. */
function safely<Result>(what: () => Result): Result | null {
  try {
    return what();
  } catch (error) {
    process.emitWarning(`rebind hold: ${error instanceof Error ? error.message : String(error)}`, {
      code: 'REBIND_ADOPT',
    });
    return null;
  }
}

/** The net.Server, net.Socket or dgram.Socket that a handle belongs to; null before it belongs to one. */
export function ownerOf(handle: object): Server | UdpSocket | null {
  const key = Object.getOwnPropertySymbols(handle).find(({ description }) => description === 'owner_symbol');
  return key === undefined ? null : ((handle as Record<symbol, Server | UdpSocket | null>)[key] ?? null);
}

/** Calls back once, when the handle is closed. */
export function onClose(handle: Handle, closed: () => void): void {
  const own = Object.getOwnPropertyDescriptor(handle, 'close');
  const { close } = handle;
  Object.defineProperty(handle, 'close', {
    value(this: Handle, ...args: [(() => void)?]) {
      if (own === undefined) Reflect.deleteProperty(handle, 'close');
      else Object.defineProperty(handle, 'close', own);
      safely(closed);
      return Reflect.apply(close, this, args);
    },
    configurable: true,
    writable: true,
    enumerable: own?.enumerable ?? false,
  });
}

/** Another handle of the same kind, owner and listener, as yet without a socket; referenced or not as the first one is. */
export function sibling(handle: Handle): Handle {
  const { constructor: Made } = Object.getPrototypeOf(handle) as { constructor: new (type: number) => Handle };
  // TCPConstants.SERVER and PipeConstants.SERVER (src/tcp_wrap.h).
  const made = new Made(1);
  const { onconnection } = handle as { onconnection?: unknown };
  Object.assign(made, { onconnection });
  for (const key of Object.getOwnPropertySymbols(handle))
    if (key.description === 'owner_symbol') Object.assign(made, { [key]: ownerOf(handle) });
  if (!handle.hasRef()) made.unref();
  return made;
}

/** A handle with this name, or the negative errno that says why not; null where Node's internals have changed. */
export function takeName(path: string): Handle | number | null {
  return createHandle(path, -1, -1) as Handle | number | null;
}

function replace<Key extends keyof Prototype>(
  prototype: Prototype | null,
  key: Key,
  make: (plain: NonNullable<Prototype[Key]>) => Prototype[Key],
): void {
  const plain = prototype?.[key];
  if (prototype === null || plain === undefined) return;
  Object.defineProperty(prototype, key, {
    value: make(plain as NonNullable<Prototype[Key]>),
    configurable: true,
    writable: true,
    enumerable: Object.getOwnPropertyDescriptor(prototype, key)?.enumerable ?? true,
  });
}

type GetServer = (this: unknown, of: object, ...rest: unknown[]) => unknown;

/**
 * In a cluster worker a server listens on a handle that its primary has. Node asks for it with `cluster._getServer`, and calls `_setServerData`
 * of the server or UDP socket when the answer has come (lib/internal/cluster/child.js); tls.Server has one, for its tickets. Calls back then, before anything is emitted.
 */
export function onPrimaryAnswer(answered: (of: object) => void): void {
  const { moduleLoadList: loaded } = process as unknown as { moduleLoadList?: readonly string[] };
  if (loaded !== undefined && !loaded.includes('NativeModule internal/cluster/child')) return;
  const cluster = process.getBuiltinModule('node:cluster') as unknown as { isWorker: boolean; _getServer?: GetServer };
  const plain = cluster._getServer;
  if (!cluster.isWorker || plain === undefined) return;
  cluster._getServer = function (of, ...rest) {
    const before = Object.getOwnPropertyDescriptor(of, '_setServerData');
    const value = function (this: object, ...data: unknown[]): void {
      if (before === undefined) Reflect.deleteProperty(of, '_setServerData');
      else Object.defineProperty(of, '_setServerData', before);
      safely(() => answered(of));
      const { _setServerData: own } = of as { _setServerData?: unknown };
      if (typeof own === 'function') Reflect.apply(own, this, data);
    };
    Object.defineProperty(of, '_setServerData', { value, configurable: true, writable: true });
    return Reflect.apply(plain, this, [of, ...rest]);
  };
}

/** Calls back when a UDP socket could not be bound, before its error is emitted. */
export function onUdpFailure(failed: (socket: UdpSocket, error: number, flags: number) => void): void {
  const udp = udpPrototype();
  for (const family of ['bind', 'bind6'] as const) {
    replace(
      udp,
      family,
      (plain: Bind) =>
        function (this: Handle, ...args) {
          const error = Reflect.apply(plain, this, args) as number;
          const owner = error === 0 ? null : ownerOf(this);
          if (owner !== null) safely(() => failed(owner as UdpSocket, error, args[2] ?? 0));
          return error;
        } satisfies Bind,
    );
  }
}
