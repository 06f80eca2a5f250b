/**
 * Where Node's own handles are bound: the lowest place that JavaScript can reach, below net, http, tls, dgram and cluster.
 *
 * The held descriptor is opened by the very handle that was about to be bound, so everything above it is Node's own: the order of events,
 * errors and where they are thrown, `address()`, `_handle`, what is sent to children. No listener is added and no function of a server replaced.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import net, { type Server } from 'node:net';

/** A native handle of Node's; private in Node, and the same in every version from 20 to 26. */
export interface Handle {
  readonly fd?: number;
  open(fd: number): number;
  close(done?: () => void): void;
  listen(backlog: number): number;
  hasRef(): boolean;
  getsockname?(out: object): number;
}

type Bind = (this: Handle, address: string, port?: number, flags?: number) => number;
type Listen = (this: Handle, backlog: number) => number;

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
  /** A cluster worker's server listens on a handle that its primary has. */
  sharing(server: Server): void;
}

interface Prototype {
  bind: Bind;
  bind6?: Bind;
  listen: Listen;
}

/** Puts `places` between Node and the kernel, once in a thread. */
export function install(places: Places): void {
  const tcp = prototypeOf('tcp_wrap', 'TCP') ?? tcpPrototype();
  const pipe = prototypeOf('pipe_wrap', 'Pipe') ?? pipePrototype();
  const udp = prototypeOf('udp_wrap', 'UDP') ?? udpPrototype();
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
  if (!handle.hasRef()) (made as Handle & { unref(): void }).unref();
  return made;
}

/** A handle with this name, or the negative errno that says why not; null where Node's internals have changed. */
export function takeName(path: string): (Handle & { unref(): void }) | number | null {
  return createHandle(path, -1, -1) as (Handle & { unref(): void }) | number | null;
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
  const udp = prototypeOf('udp_wrap', 'UDP') ?? udpPrototype();
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

type Binding = Readonly<Record<string, { readonly prototype: object } | undefined>>;

/** The prototype of the native handles that start processes; null where it cannot be reached. */
export function processPrototype(): { spawn(...args: unknown[]): number } | null {
  const found = bindingPrototype('process_wrap', 'Process');
  if (found !== null) return found as { spawn(...args: unknown[]): number };
  const child = new (process.getBuiltinModule('node:child_process').ChildProcess)() as unknown as { _handle: object };
  return Object.getPrototypeOf(child._handle) as { spawn(...args: unknown[]): number };
}

function prototypeOf(binding: string, name: string): Prototype | null {
  return bindingPrototype(binding, name) as Prototype | null;
}

/** Null where asking would be noticed: with a warning (DEP0111), or an error under the permission model. */
function bindingPrototype(binding: string, name: string): object | null {
  const { execArgv, env } = process;
  const options = [...execArgv, ...(env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  const noticed =
    Object.hasOwn(process, 'permission') ||
    env['NODE_PENDING_DEPRECATION'] === '1' ||
    options.some((option) => /^--pending[-_]deprecation$/.test(option));
  if (noticed) return null;
  try {
    const found = (process as unknown as { binding(name: string): Binding }).binding(binding);
    return found[name]?.prototype ?? null;
  } catch {
    return null;
  }
}

/** net's own way to make a bound handle, which cluster calls (lib/net.js). */
function createHandle(address: string, port: number, type: number): object | number | null {
  const { _createServerHandle: create } = net as unknown as {
    _createServerHandle?: (address: string, port: number, type: number) => object | number;
  };
  return create?.(address, port, type) ?? null;
}

function pipePrototype(): Prototype | null {
  const pipe = takeName(`\0rebind-${process.pid}-${performance.now()}`);
  if (pipe === null || typeof pipe === 'number') return null;
  pipe.close();
  return Object.getPrototypeOf(pipe) as Prototype;
}

/** A TCP handle cannot be made without a bind, so one is bound to what is no address, and seen when it is closed for that. */
function tcpPrototype(): Prototype | null {
  let shared: object | null = pipePrototype();
  while (shared !== null && !Object.hasOwn(shared, 'close')) shared = Object.getPrototypeOf(shared) as object | null;
  if (shared === null) return null;
  const plain = Object.getOwnPropertyDescriptor(shared, 'close') as PropertyDescriptor;
  const seen: object[] = [];
  Object.defineProperty(shared, 'close', {
    ...plain,
    value(this: Handle, ...args: [(() => void)?]) {
      seen.push(this);
      return Reflect.apply(plain.value as Handle['close'], this, args);
    },
  });
  try {
    createHandle('no address', 0, 4);
  } finally {
    Object.defineProperty(shared, 'close', plain);
  }
  return seen[0] === undefined ? null : (Object.getPrototypeOf(seen[0]) as Prototype);
}

function udpPrototype(): Prototype | null {
  const socket = process.getBuiltinModule('node:dgram').createSocket('udp4');
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state = key === undefined ? null : (socket as unknown as Record<symbol, { handle: object }>)[key];
  const prototype = state == null ? null : (Object.getPrototypeOf(state.handle) as Prototype);
  socket.close();
  return prototype;
}
