/**
 * Which socket a server gets when it listens under hold.
 */
import cluster from 'node:cluster';
import type { Socket as UdpSocket } from 'node:dgram';
import net, { type Server } from 'node:net';
import type { Passed, PassedSocket } from '../hold/wire/passed.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import type { Agent } from './agent.ts';
import { fetchSocket } from './ask-for-socket.ts';
import { manageUdp, plainBind, readBindCall } from './bind-call.ts';
import { mayMove, receive } from './hand-off.ts';
import { type Inherited, identityOf } from './inherited.ts';
import { type Handle, handleOf, type ListenCall, listenOn, plainListen, readListenCall } from './listen-call.ts';
import { manage } from './managed-server.ts';
import { type Match, match, type Wish } from './match.ts';
import { isProbe, pretend } from './probe-server.ts';

/** net's own way to make a listening handle, which cluster calls in the primary for shared handles (lib/net.js). */
type CreateHandle = (address: string | null, port: number | null, type: number, fd?: number, flags?: number) => unknown;

export class Adoption {
  /** True once this process serves on a held socket. */
  hasTaken = false;
  readonly passed: Passed;
  readonly inherited: Inherited;
  readonly agent: Agent;
  /** The open handle on each held socket, by identity: one at a time, as without hold. */
  readonly #live = new Map<string, Handle>();

  constructor(passed: Passed, inherited: Inherited, agent: Agent) {
    this.passed = passed;
    this.inherited = inherited;
    this.agent = agent;
  }

  /** net.Server.listen under hold. */
  listen(server: Server, args: unknown[]): Server {
    const call = readListenCall(args);
    const wish = call === null ? null : wishOf(call);
    const found = wish === null ? null : this.#find(wish);
    // A cluster worker shares the primary's socket, so it listens as always, but its connections must drain.
    if (cluster.isWorker) {
      Reflect.apply(plainListen, server, args);
      if (found !== null) this.#serve(server, found.socket, null);
      return server;
    }
    if (call === null || wish === null || found === null) {
      this.#reportUnmanaged(server, wish);
      return Reflect.apply(plainListen, server, args) as Server;
    }
    // This process serves the port already: the kernel refuses a second one, as it should.
    if (this.#live.has(found.socket.identity)) return Reflect.apply(plainListen, server, args) as Server;
    if (isProbe(server)) {
      // Called while its first connection listener is being added; the callback was attached when it began to pretend.
      pretend(server, found.socket.endpoint, call.callback, () => {
        this.#adopt(server, { ...call, callback: null }, found.socket, found.match, wish);
      });
      return server;
    }
    return this.#adopt(server, call, found.socket, found.match, wish);
  }

  /** dgram's bind under hold. */
  bind(socket: UdpSocket, args: unknown[]): UdpSocket {
    const call = readBindCall(socket, args);
    const found = call === null || cluster.isWorker ? null : this.#find(call.wish);
    if (call === null || found === null || found.match === 'wider')
      return Reflect.apply(plainBind, socket, args) as UdpSocket;
    const fd = this.inherited.take(found.socket);
    if (fd === null) {
      process.nextTick(() => socket.emit('error', this.#lost(found.socket, 'a datagram socket must be inherited')));
      return socket;
    }
    const { identity } = found.socket;
    if (call.callback !== null) socket.once('listening', call.callback);
    socket.once('listening', () => this.agent.tell({ kind: 'listening', identity, note: null, receiver: null }));
    socket.once('close', () => this.inherited.release(found.socket, fd));
    this.hasTaken = true;
    this.agent.connect();
    this.agent.manage(manageUdp(socket));
    return plainBind.call(socket, { fd, exclusive: true });
  }

  /** Lets a server listen on this held socket, whatever it would have asked for. */
  serve(server: Server, socket: PassedSocket): void {
    const call = { host: null, port: null, path: null, signal: undefined, ipv6Only: false, callback: null };
    this.#adopt(server, call, socket, 'same', null);
  }

  /** Cluster's shared handles are made here, not by listen(). */
  serveCluster(): void {
    const module = net as unknown as { _createServerHandle: CreateHandle };
    const plainCreate = module._createServerHandle;
    if (typeof plainCreate !== 'function') return;
    module._createServerHandle = (address, port, type, fd, flags) => {
      const isPath = port === -1 && type === -1;
      if (!cluster.isPrimary || (typeof fd === 'number' && fd >= 0)) return plainCreate(address, port, type, fd, flags);
      const wish: Wish = isPath
        ? { protocol: 'unix', path: String(address) }
        : { protocol: 'tcp', host: address, port: port ?? 0 };
      const found = this.#find(wish);
      if (found === null || found.match === 'wider' || this.#live.has(found.socket.identity))
        return plainCreate(address, port, type, fd, flags);
      const copy = this.#copy(found.socket, null);
      if (copy.socket === null) throw this.#lost(found.socket, copy.why);
      const handle = plainCreate(null, null, -1, copy.fd, flags);
      if (typeof handle === 'object' && handle !== null) this.#claim(handle as Handle, copy.socket, copy.fd, () => {});
      return handle;
    };
  }

  #find(wish: Wish): { readonly socket: PassedSocket; readonly match: Exclude<Match, 'no'> } | null {
    let best: { socket: PassedSocket; match: Exclude<Match, 'no'> } | null = null;
    for (const socket of this.passed.sockets) {
      const found = match(socket, wish);
      if (found === 'no') continue;
      if (found === 'same') return { socket, match: found };
      best ??= { socket, match: found };
    }
    return best;
  }

  #adopt(server: Server, call: ListenCall, wanted: PassedSocket, found: Match, wish: Wish | null): Server {
    const host = found === 'wider' && wish !== null && wish.protocol !== 'unix' ? wish.host : null;
    const copy = this.#copy(wanted, host);
    if (copy.socket === null) {
      // Never a silent other port: the program gets an error, and it names who is to blame.
      process.nextTick(() => server.emit('error', this.#lost(wanted, copy.why)));
      return server;
    }
    const { socket, fd } = copy;
    const receiver = this.passed.handOff && mayMove(server) ? receive(server, this.passed.token) : null;
    server.once('listening', () => {
      const { identity } = socket;
      this.agent.tell({
        kind: 'listening',
        identity,
        note: note(socket, wish, call),
        receiver: receiver?.name ?? null,
      });
    });
    listenOn(server, fd, this.passed.backlog, call);
    const handle = handleOf(server);
    if (handle === null) {
      receiver?.close();
      this.inherited.release(socket, fd);
      return server;
    }
    if (socket.endpoint.protocol === 'unix')
      (server as unknown as { _pipeName: string })._pipeName = socket.endpoint.path;
    this.#serve(server, socket, handle);
    this.#claim(handle, socket, fd, () => receiver?.close());
    return server;
  }

  /** A copy of the socket, from the inherited ones or from hold itself. */
  #copy(
    socket: PassedSocket,
    host: string | null,
  ): { socket: PassedSocket; fd: number } | { socket: null; why: string } {
    if (host === null) {
      const fd = this.inherited.take(socket);
      if (fd !== null) return { socket, fd };
    }
    try {
      const given = fetchSocket(this.passed, socket.identity, host);
      if (given.socket !== null && identityOf(given.fd) !== given.socket.identity)
        return { socket: null, why: 'hold sent another socket than it said' };
      return given;
    } catch (error) {
      return { socket: null, why: error instanceof Error ? error.message : String(error) };
    }
  }

  /** @param onClose Called when the server accepts no more. */
  #claim(handle: Handle, socket: PassedSocket, fd: number, onClose: () => void): void {
    this.#live.set(socket.identity, handle);
    const plainClose = handle.close;
    handle.close = (done) => {
      if (this.#live.get(socket.identity) === handle) this.#live.delete(socket.identity);
      onClose();
      this.inherited.release(socket, fd);
      plainClose.call(handle, done);
    };
  }

  #serve(server: Server, socket: PassedSocket, handle: Handle | null): void {
    this.hasTaken = true;
    this.agent.connect();
    this.agent.manage(manage(server, handle, { identity: socket.identity, token: this.passed.token }));
    if (handle === null) {
      server.once('listening', () => {
        this.agent.tell({ kind: 'listening', identity: socket.identity, note: null, receiver: null });
      });
    }
  }

  /** An endpoint that is not held: hold learns it, or can say why the next generation cannot have it. */
  #reportUnmanaged(server: Server, wish: Wish | null): void {
    if (wish === null || wish.protocol === 'unix' || isProbe(server)) return;
    server.once('listening', () => {
      const descriptor = handleOf(server)?.fd;
      const address = server.address();
      if (descriptor === undefined || address === null || typeof address === 'string') return;
      const endpoint: Endpoint = { protocol: 'tcp', address: address.address, port: address.port };
      this.agent.manage(manage(server, handleOf(server), null));
      this.agent.tell({
        kind: 'unmanaged',
        endpoint,
        asked: { host: wish.host, port: wish.port },
        descriptor,
        identity: identityOf(descriptor) ?? '',
      });
    });
    server.prependOnceListener('error', (error: NodeJS.ErrnoException) => {
      const endpoint: Endpoint = { protocol: 'tcp', address: wish.host ?? '::', port: wish.port };
      this.agent.tell({ kind: 'blocked', endpoint, code: error.code ?? 'unknown' });
    });
  }

  #lost(socket: PassedSocket, why: string): NodeJS.ErrnoException {
    const where = formatEndpoint(socket.endpoint);
    const error: NodeJS.ErrnoException = new Error(
      `listen EBADF: rebind hold keeps ${where}, but its descriptor did not reach process ${process.pid}, and hold could not send it: ${why}. ` +
        `The process that started this one (${process.ppid}) did not pass it on`,
    );
    error.code = 'EBADF';
    error.syscall = 'listen';
    return error;
  }
}

function wishOf(call: ListenCall): Wish | null {
  if (call.path !== null) return { protocol: 'unix', path: call.path };
  return call.port === null ? null : { protocol: 'tcp', host: call.host, port: call.port };
}

function note(socket: PassedSocket, wish: Wish | null, call: ListenCall): string | null {
  if (wish === null || wish.protocol === 'unix' || socket.endpoint.protocol === 'unix') return null;
  const asked = wish.host ?? '::';
  const { address } = socket.endpoint;
  if (call.ipv6Only && address === '::') return 'The program asked for IPv6 only; the held socket also takes IPv4';
  if (asked === address || asked === 'localhost' || wish.host === null) return null;
  return `The program asked for ${asked} and is served on ${formatEndpoint(socket.endpoint)}`;
}
