/**
 * Where Node's native handles are reached: private in Node, and the same in every version from 20 to 26. Each is null where it cannot be reached.
 */
import net from 'node:net';

/** A native handle. */
export interface Handle {
  readonly fd?: number;
  open(fd: number): number;
  close(done?: () => void): void;
  listen(backlog: number): number;
  hasRef(): boolean;
  unref(): void;
  getsockname?(out: object): number;
}

export type Bind = (this: Handle, address: string, port?: number, flags?: number) => number;
export type Listen = (this: Handle, backlog: number) => number;
/** A pipe has a path in the place of the address. */
export type Connect = (this: Handle, request: object, address: string, port?: number) => number;

export interface Prototype {
  bind: Bind;
  bind6?: Bind;
  listen: Listen;
  connect?: Connect;
  connect6?: Connect;
}

type Binding = Readonly<Record<string, { readonly prototype: object } | undefined>>;

/** The prototype of the native handles that start processes; null where it cannot be reached. */
export function processPrototype(): { spawn(...args: unknown[]): number } | null {
  const found = bindingPrototype('process_wrap', 'Process');
  if (found !== null) return found as { spawn(...args: unknown[]): number };
  const child = new (process.getBuiltinModule('node:child_process').ChildProcess)() as unknown as { _handle: object };
  return Object.getPrototypeOf(child._handle) as { spawn(...args: unknown[]): number };
}

export function tcpPrototype(): Prototype | null {
  return (bindingPrototype('tcp_wrap', 'TCP') as Prototype | null) ?? tcpOfHandle();
}

export function pipePrototype(): Prototype | null {
  return (bindingPrototype('pipe_wrap', 'Pipe') as Prototype | null) ?? pipeOfHandle();
}

export function udpPrototype(): Prototype | null {
  return (bindingPrototype('udp_wrap', 'UDP') as Prototype | null) ?? udpOfSocket();
}

/** A pipe that is not connected yet, and how to connect it: 0, or a negative errno at once. Null where its class cannot be reached. */
export function newPipe(): {
  readonly handle: Handle;
  connect(path: string, done: (status: number) => void): number;
} | null {
  const pipe = bindingPrototype('pipe_wrap', 'Pipe') as
    | (Prototype & { constructor: new (type: number) => Handle })
    | null;
  const request = bindingPrototype('pipe_wrap', 'PipeConnectWrap') as { constructor: new () => object } | null;
  if (pipe?.connect === undefined || request === null) return null;
  const { connect } = pipe;
  // PipeConstants.SOCKET (src/pipe_wrap.h).
  const handle = new pipe.constructor(0);
  return {
    handle,
    connect: (path, oncomplete) =>
      Reflect.apply(connect, handle, [Object.assign(new request.constructor(), { oncomplete }), path]),
  };
}

/** Null where asking would be noticed: with a warning (DEP0111), or an error under the permission model. */
export function bindingPrototype(binding: string, name: string): object | null {
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
export function createHandle(address: string, port: number, type: number): object | number | null {
  const { _createServerHandle: create } = net as unknown as {
    _createServerHandle?: (address: string, port: number, type: number) => object | number;
  };
  return create?.(address, port, type) ?? null;
}

function pipeOfHandle(): Prototype | null {
  const pipe = createHandle(`\0rebind-${process.pid}-${performance.now()}`, -1, -1) as Handle | number | null;
  if (pipe === null || typeof pipe === 'number') return null;
  pipe.close();
  return Object.getPrototypeOf(pipe) as Prototype;
}

/** A TCP handle cannot be made without a bind, so one is bound to what is no address, and seen when it is closed for that. */
function tcpOfHandle(): Prototype | null {
  let shared: object | null = pipeOfHandle();
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

function udpOfSocket(): Prototype | null {
  const socket = process.getBuiltinModule('node:dgram').createSocket('udp4');
  const key = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state = key === undefined ? null : (socket as unknown as Record<symbol, { handle: object }>)[key];
  const prototype = state == null ? null : (Object.getPrototypeOf(state.handle) as Prototype);
  socket.close();
  return prototype;
}
