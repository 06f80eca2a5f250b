/**
 * A free port that stays yours. Looking one up and closing it again, as other packages do, leaves a moment in which somebody else gets it;
 * here it stays bound until a server, a child or nobody uses it.
 */

import type { Socket as UdpSocket } from 'node:dgram';
import net, { type Server } from 'node:net';
import { backlogNumber, checkFlag, checkNames, portNumber, show } from '../check.ts';
import { BlockedPortError } from '../errors.ts';
import { everyAddress } from '../model/address.ts';
import { isSystemError, isUnsupportedError, NativeError, UnsupportedError } from '../os/errors.ts';
import { os as thisOs } from '../os/index.ts';
import type { Os } from '../os/os.ts';
import { isServer, isUdpSocket, serverExpected } from './arguments.ts';
import { isWorker, owned } from './attempt.ts';
import { warnUnexplained } from './busy.ts';
import { bindByNode, listenOnDescriptor, listenOnHandle } from './node-listen.ts';
import { alreadyListens, beginListen } from './pending.ts';
import { bindRaw, letSuccessorsIn, setReuseAddress } from './raw-socket.ts';

/** Which port, and how firmly. */
export interface ReserveOptions {
  /** @default 0, any free one */
  readonly port?: number;
  /** An address. @default `::` for both IPv6 and IPv4, or `0.0.0.0` without IPv6 */
  readonly host?: string;
  /** @default 'tcp' */
  readonly protocol?: 'tcp' | 'udp';
  /**
   * `false` keeps every automatic choice of a port away, and lets a program that asks for this very number with SO_REUSEADDR listen on it, as all Node
   * servers do: give a child the number. `true` keeps everybody away: give a child the descriptor. UDP is always exclusive.
   * @default false
   */
  readonly exclusive?: boolean;
}

/** A port that is bound and not listened on. Disposing releases it, unless a server has it by then. */
export interface Reservation extends Disposable {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /**
   * The bound socket, for a child: `spawn(command, args, { stdio: ['inherit', 'inherit', 'inherit', reservation.descriptor] })`, which listens with
   * `server.listen({ fd: 3 })`.
   *
   * @throws {TypeError} when the reservation was used or released.
   */
  readonly descriptor: number;
  /** Listens with the reserved socket; the server owns it from then on. @throws {TypeError} when it was used or released, or the server is of another kind. */
  listen(server: Server | UdpSocket, options?: { readonly backlog?: number }): Promise<void>;
  /** Gives the port back. Nothing happens when it was used or released. */
  release(): void;
}

/**
 * Reserves a port.
 *
 * @throws {BlockedPortError} when the asked port is blocked. @throws {TypeError} {RangeError} for wrong arguments.
 * @throws {UnsupportedError} for UDP and `exclusive` on a platform other than Linux, or without koffi.
 * @example
 * ```ts
 * const reserved = await reserve();
 * const child = spawn('node', ['server.js'], { env: { ...process.env, PORT: String(reserved.port) } });
 * child.on('exit', () => reserved.release());
 * ```
 */
export async function reserve(options: ReserveOptions = {}): Promise<Reservation> {
  const plan = readOptions(options);
  try {
    return boundByUs(plan);
  } catch (error) {
    if (!isSystemError(error) || error.syscall !== 'bind') throw error;
    throw await explained(error, plan);
  }
}

async function explained(error: unknown, { protocol, port, host, exclusive }: ReservePlan): Promise<unknown> {
  try {
    const { why } = await import('../why.ts');
    return new BlockedPortError(await why({ protocol, port, host }, { reuseAddress: !exclusive }), { cause: error });
  } catch (failure) {
    warnUnexplained(error, failure);
    return error;
  }
}

interface ReservePlan {
  readonly port: number;
  readonly host: string | undefined;
  readonly protocol: 'tcp' | 'udp';
  readonly exclusive: boolean;
}

function boundByUs(plan: ReservePlan): Reservation {
  try {
    return bound(thisOs(), plan);
  } catch (error) {
    if (isUnsupportedError(error) && plan.protocol === 'tcp' && !plan.exclusive) return boundByNode(plan, error);
    throw error;
  }
}

function bound(os: Os, { port, host, protocol, exclusive }: ReservePlan): Reservation {
  const fd = bindFirst(os, protocol, host === undefined ? everyAddress : [host], port, !exclusive);
  const address = os.sockets.address(fd);
  if (address.protocol === 'unix') throw new Error('A bound TCP or UDP socket has no path');
  return reservation(protocol, address.address, address.port, {
    descriptor: fd,
    close: () => os.sockets.close(fd),
    listen: async (server, backlog, signal) => {
      if (isUdpSocket(server)) {
        await owned(os, server, fd, () => bindByNode(server, { fd, exclusive: true }, signal));
        setReuseAddress(os, fd, false);
        return;
      }
      // What it leaves behind must block no successor.
      letSuccessorsIn(os, fd);
      const inWorker = await isWorker();
      await owned(os, server, fd, () => listenOnDescriptor(server, fd, backlog, inWorker, signal));
    },
  });
}

function bindFirst(
  os: Os,
  protocol: 'tcp' | 'udp',
  hosts: readonly string[],
  port: number,
  reuseAddress: boolean,
): number {
  const [host = '0.0.0.0', ...others] = hosts;
  try {
    return bindRaw(os, protocol, host, port, { reuseAddress });
  } catch (error) {
    if (others.length === 0 || (error as NodeJS.ErrnoException).code === 'EADDRINUSE') throw error;
    return bindFirst(os, protocol, others, port, reuseAddress);
  }
}

/** Node can bind without listening too, by a name that is not documented. It keeps EADDRINUSE until the name is asked for (uv__tcp_bind). */
function boundByNode({ port, host }: ReservePlan, cause: unknown): Reservation {
  type Handle = { readonly fd?: number; close(): void; getsockname(out: { address?: string; port?: number }): number };
  type Factory = (address: string, port: number, type: 4 | 6) => Handle | number;
  const create = (net as unknown as { _createServerHandle?: Factory })._createServerHandle;
  if (create === undefined)
    throw new UnsupportedError('This Node cannot bind a port without listening on it', { cause });
  const hosts = host === undefined ? everyAddress : [host];
  for (const [index, address] of hosts.entries()) {
    const handle = create(address, port, address.includes(':') ? 6 : 4);
    if (typeof handle === 'number') {
      // As Node's own listen: without IPv6 the wildcard is 0.0.0.0.
      if (index < hosts.length - 1) continue;
      throw bindError(handle, address, port);
    }
    const name: { address?: string; port?: number } = {};
    const result = handle.getsockname(name);
    if (result !== 0 || name.port === undefined) {
      handle.close();
      throw bindError(result, address, port);
    }
    return reservation('tcp', name.address ?? address, name.port, {
      descriptor: handle.fd ?? -1,
      close: () => handle.close(),
      listen: (server, backlog, signal) => listenOnHandle(server as Server, handle, backlog, signal),
    });
  }
  throw new UnsupportedError(`This Node cannot bind ${host ?? '::'}`, { cause });
}

function bindError(errno: number, address: string, port: number): NativeError {
  return Object.assign(new NativeError('bind', -errno), { address, port });
}

interface Bound {
  readonly descriptor: number;
  close(): void;
  listen(server: Server | UdpSocket, backlog: number, signal: AbortSignal): Promise<void>;
}

function reservation(protocol: 'tcp' | 'udp', address: string, port: number, socket: Bound): Reservation {
  let state: 'held' | 'used' | 'released' = 'held';
  const check = (): void => {
    if (state !== 'held') throw new TypeError(`The reservation of port ${port} was ${state} already: make another one`);
  };
  const release = (): void => {
    if (state !== 'held') return;
    state = 'released';
    socket.close();
  };
  return {
    protocol,
    address,
    port,
    get descriptor() {
      check();
      return socket.descriptor;
    },
    async listen(server, { backlog } = {}) {
      const fits = protocol === 'udp' ? isUdpSocket(server) : isServer(server);
      if (!isServer(server) && !isUdpSocket(server)) throw serverExpected('reservation.listen', server);
      if (!fits)
        throw new TypeError(`The port is reserved for ${protocol.toUpperCase()}, and the server is of the other kind`);
      const length = backlogNumber(backlog);
      check();
      const pending = beginListen(server);
      if (pending === null) throw alreadyListens();
      state = 'used';
      try {
        await socket.listen(server, length, pending.signal);
      } finally {
        pending.end();
      }
    },
    release,
    [Symbol.dispose]: release,
  };
}

function readOptions(options: ReserveOptions): ReservePlan {
  checkNames('reserve()', options, ['port', 'host', 'protocol', 'exclusive']);
  const { port = 0, host, protocol = 'tcp', exclusive = protocol === 'udp' } = options;
  if (protocol !== 'tcp' && protocol !== 'udp') throw new TypeError(`protocol is tcp or udp, not ${show(protocol)}`);
  checkFlag('exclusive', exclusive);
  if (host !== undefined && net.isIP(host) === 0)
    throw new TypeError(`host is an address such as 127.0.0.1, not ${show(host)}`);
  return { port: portNumber(port), host, protocol, exclusive: exclusive || protocol === 'udp' };
}
