/**
 * Which socket a handle of a program under hold gets.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import type { Server } from 'node:net';
import { getSystemErrorName } from 'node:util';
import type { Passed, PassedSocket } from '../hold/wire/passed.ts';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import type { Agent } from './agent.ts';
import { fetchSocket, findLearned } from './ask-for-socket.ts';
import type { Handle } from './bindings.ts';
import { Claims } from './claims.ts';
import { mayMove, type Receiver, receive } from './hand-off.ts';
import { onClose, ownerOf, type Places, sibling } from './handles.ts';
import { type Inherited, identityOf } from './inherited.ts';
import { Leases } from './leases.ts';
import { lostSentence, nameTheReason } from './lost.ts';
import { manage, manageUdp } from './managed-server.ts';
import {
  fileOf,
  isAt,
  isShared,
  isWide,
  type Match,
  match,
  pathOf,
  tcpWishOf,
  udpWishOf,
  type Wish,
  wishOf,
} from './match.ts';
import { addressInUse, isProbe, listenLater, Starts } from './probe.ts';
import { isReached, Refusals } from './refusals.ts';
import { type Reported, Reports } from './reported.ts';

/** A held socket that a handle of this process has. */
interface Taken {
  readonly socket: PassedSocket;
  readonly wish: Wish | null;
  /** It looks only, and has the socket of a bare port that nobody has asked for an address of. */
  readonly isOnlyLooking: boolean;
}

/** The port errors that a restart may run into. */
const portErrors = new Set(['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL']);

export class Adoption implements Places {
  /** True once this process serves on a held socket. */
  hasTaken = false;
  /** False when only `adopt` gives sockets, and every other server is left alone. */
  matches = false;
  readonly passed: Passed;
  readonly inherited: Inherited;
  readonly agent: Agent;
  readonly #claims: Claims;
  /** Those that were passed, and those that hold gave later. */
  readonly #sockets: PassedSocket[];
  readonly #reports = new Reports();
  readonly #taken = new WeakMap<Handle, Taken>();
  /** What the others were bound to: port 0 is another port each time. */
  readonly #asked = new WeakMap<Handle, { readonly host: string; readonly port: number }>();
  readonly #leases: Leases;
  readonly #starts = new Starts();
  readonly refusals: Refusals;
  /** What the next bind gets, whatever it asks for. */
  #forced: PassedSocket | null = null;

  constructor(passed: Passed, inherited: Inherited, agent: Agent) {
    this.passed = passed;
    this.inherited = inherited;
    this.agent = agent;
    this.#sockets = [...passed.sockets];
    this.#claims = new Claims(passed);
    this.#leases = new Leases(passed);
    this.refusals = new Refusals(passed, this.#claims);
  }

  /** Lets a server listen on this held socket. Errors come as the server's 'error' event. */
  serve(server: Server, socket: PassedSocket): void {
    this.#forced = socket;
    try {
      const { endpoint } = socket;
      // Without a host there is no lookup, so the bind is done when this returns.
      server.listen({ ...(endpoint.protocol === 'unix' ? { path: endpoint.path } : { port: 0 }), exclusive: true });
    } finally {
      this.#forced = null;
    }
  }

  bindTcp(handle: Handle, address: string, port: number, flags: number): 0 | null {
    const wish = tcpWishOf(address, this.matches ? this.#leases.portFor(port) : port, flags);
    const opened = this.#open(handle, wish, port);
    if (opened === null) this.#asked.set(handle, { host: address, port });
    return opened;
  }

  bindPipe(handle: Handle, path: string): 0 | null {
    return this.#open(handle, wishOf(path));
  }

  bindUdp(handle: Handle, address: string, port: number, flags: number): 0 | null {
    const wish = udpWishOf(address, port, flags);
    const opened = this.#open(handle, wish);
    const socket = this.#taken.get(handle)?.socket;
    if (opened !== 0 || socket === undefined) return opened;
    this.#keepReuse(handle, wish.reuseAddress);
    this.#begin();
    const owner = ownerOf(handle) as UdpSocket | null;
    if (owner !== null) onClose(handle, this.agent.manage(manageUdp(owner)));
    this.agent.tell({ kind: 'listening', identity: socket.identity, note: this.#note(handle), receiver: null });
    return 0;
  }

  /** The program's own option, which its second socket must find on the first one; libuv sets it on every descriptor that it opens (uv_udp_open). */
  #keepReuse({ fd }: Handle, reuse: boolean): void {
    try {
      if (fd !== undefined) os().sockets.setReuseAddress(fd, reuse);
    } catch {
      // Without koffi a second socket with the option is not refused; the first one works all the same.
    }
  }

  refusesTcp(address: string, port: number): boolean {
    if (!this.matches) return false;
    const reached = ({ endpoint }: PassedSocket): boolean =>
      endpoint.protocol === 'tcp' && endpoint.port === port && isReached(endpoint.address, address);
    const closed = this.passed.learn ? this.#reports.closed : [];
    return this.refusals.refuses([...this.#sockets, ...closed].filter(reached));
  }

  refusesPipe(path: string): boolean {
    const held = this.matches ? this.#sockets.filter(({ endpoint }) => endpoint.protocol === 'unix') : [];
    if (held.length === 0) return false;
    const wish = wishOf(path);
    // Without its file the kernel has an answer of its own.
    if (wish.protocol === 'unix' && wish.file === null && !path.startsWith('\0')) return false;
    return this.refusals.refuses(held.filter((socket) => match(socket, wish, fileOf) === 'same'));
  }

  bound(_handle: Handle, address: string, port: number, error: number): void {
    // Most collisions are told by listen(2) only, as libuv puts them off.
    if (error !== 0) this.#tellBlocked({ protocol: 'tcp', address, port }, error);
  }

  listen(handle: Handle, backlog: number, plain: (backlog: number) => number): number {
    const owner = ownerOf(handle) as Server | null;
    const taken = this.#taken.get(handle) ?? this.#borrowed(handle);
    if (taken === null) {
      const error = plain(backlog);
      if (owner !== null) this.#notHeld(owner, handle, error);
      return error;
    }
    // Node's own 511 would shrink the queue that all generations share.
    const listen = (): number => {
      const error = plain(this.passed.backlog);
      if (error === 0 && owner !== null) this.#serving(owner, handle, taken);
      return error;
    };
    if (owner === null || !this.#taken.has(handle)) return listen();
    if (taken.isOnlyLooking) {
      listenLater(handle, owner, () => this.#narrowLate(owner, handle, taken));
      return 0;
    }
    if (!isProbe(owner)) return listen();
    listenLater(handle, owner, listen);
    return 0;
  }

  sharing(server: Server): void {
    const handle = handleOf(server);
    if (handle === null) return;
    const address = server.address();
    const held = this.#sockets.find(({ endpoint }) => isAt(endpoint, address));
    onClose(handle, this.agent.manage(manage(server, null, held === undefined ? null : this.#known(held))));
    this.#begin();
    if (held !== undefined) this.agent.tell({ kind: 'listening', identity: held.identity, note: null, receiver: null });
  }

  /** Opens a held socket in the handle: 0 when it did, null when Node is to bind it. `asked` is the port that the program named. */
  #open(handle: Handle, wish: Wish, asked = wish.protocol === 'unix' ? 0 : wish.port): 0 | null {
    const forced = this.#forced;
    if (forced === null && !this.matches) return null;
    this.agent.connect();
    const found = forced === null ? this.#find(wish) : { socket: forced, match: 'same' as const };
    if (found === null || (found.match !== 'narrow' && !this.#isFree(found.socket, wish))) return null;
    // A look at an address must not decide what is held.
    const isOnlyLooking =
      found.match === 'narrow' && wish.protocol === 'tcp' && this.#starts.isProbe({ ...wish, port: asked });
    const narrow = found.match === 'narrow' && wish.protocol !== 'unix' && !isOnlyLooking ? wish : null;
    // Its wide socket is served already, so the kernel refuses this one, as it should.
    if (found.match === 'narrow' && this.#claims.has(found.socket.identity) && isWide(found.socket)) return null;
    const copy = this.#copy(found.socket, narrow);
    if (copy.socket === null) {
      if (copy.isKnown) nameTheReason(lostSentence(found.socket, copy.why));
      return null;
    }
    const { socket, fd } = copy;
    const claim = this.#claims.claim(socket.identity, isShared(wish));
    const error = claim === null ? -1 : handle.open(fd);
    if (claim === null || error !== 0) {
      claim?.release();
      this.inherited.giveBack(socket, fd);
      return null;
    }
    this.#taken.set(handle, { socket, wish: forced === null ? wish : null, isOnlyLooking });
    onClose(handle, () => {
      claim.release();
      this.inherited.release(socket, fd);
    });
    return 0;
  }

  #isFree(socket: PassedSocket, wish: Wish): boolean {
    return isShared(wish) || !this.#claims.has(socket.identity);
  }

  #find(wish: Wish): { readonly socket: PassedSocket; readonly match: Exclude<Match, 'no'> } | null {
    let best: { socket: PassedSocket; match: Exclude<Match, 'no'> } | null = null;
    for (const socket of this.#sockets) {
      const found = match(socket, wish, fileOf);
      if (found === 'no' || (socket.asked !== null && !this.#isFree(socket, wish))) continue;
      if (found === 'same') return { socket, match: found };
      if (best === null || best.match === 'narrow') best = { socket, match: found };
    }
    if (best !== null || wish.protocol !== 'tcp') return best;
    const socket = this.#findReported(wish.address, wish.port) ?? this.#findLearned(wish.address, wish.port);
    return socket === null ? null : { socket, match: 'same' };
  }

  /** Hold may have learned what this process listened on before. */
  #findReported(address: string, port: number): PassedSocket | null {
    const found = this.#reports.find(address, port);
    return found === null || this.#claims.has(found.identity) ? null : found;
  }

  /** Hold may have learned it from an earlier process: a wrapper that starts the program again passes on what it was given before that. */
  #findLearned(address: string, port: number): PassedSocket | null {
    const { learn, sockets } = this.passed;
    if (!learn || sockets.length > 0 || this.#reports.someAreOpen) return null;
    const given = findLearned(this.passed, address, port);
    if (given.socket === null) return null;
    if (!this.#sockets.some(({ identity }) => identity === given.socket.identity)) this.#sockets.push(given.socket);
    this.inherited.add(given.socket, given.fd);
    return given.socket;
  }

  /** What looked only is a server after all: it gets the socket of the address that it asked for, in a handle of its own. */
  #narrowLate(server: Server, handle: Handle, { socket, wish }: Taken): number {
    const copy = this.#copy(socket, wish?.protocol === 'tcp' ? wish : null);
    if (copy.socket === null) return addressInUse;
    const claim = this.#claims.claim(copy.socket.identity, false);
    const made = sibling(handle);
    const error = claim === null ? addressInUse : made.open(copy.fd);
    if (claim === null || error !== 0) return error;
    onClose(made, () => {
      claim.release();
      this.inherited.release(copy.socket, copy.fd);
    });
    this.#taken.set(made, { socket: copy.socket, wish, isOnlyLooking: false });
    (server as unknown as { _handle: Handle })._handle = made;
    handle.close();
    return made.listen(this.passed.backlog);
  }

  /** A copy of the socket, from the inherited ones or from hold itself. */
  #copy(
    socket: PassedSocket,
    narrow: { readonly address: string; readonly v6Only: boolean } | null,
  ): { socket: PassedSocket; fd: number } | { socket: null; why: string; isKnown: boolean } {
    const isKnown = this.#sockets.includes(socket);
    // Hold brings a removed file back before it answers.
    const isRemoved = socket.fileIdentity !== null && fileOf(pathOf(socket)) !== socket.fileIdentity;
    const inherited = narrow === null && !isRemoved ? this.inherited.take(socket) : null;
    if (inherited !== null) return { socket, fd: inherited };
    try {
      const given = fetchSocket(this.passed, socket.identity, narrow?.address ?? null, narrow?.v6Only ?? false);
      if (given.socket === null) {
        if (!isKnown) this.#reports.forget(socket.identity);
        return { ...given, isKnown };
      }
      if (identityOf(given.fd) !== given.socket.identity)
        return { socket: null, why: 'hold sent another socket than it said', isKnown };
      this.#learn(given.socket, socket, narrow !== null);
      return given;
    } catch (error) {
      return { socket: null, why: error instanceof Error ? error.message : String(error), isKnown };
    }
  }

  /** Hold gave another socket than the one that was passed: it takes the place of that one where that is no more. */
  #learn(given: PassedSocket, from: PassedSocket, isNarrow: boolean): void {
    if (this.#sockets.some(({ identity }) => identity === given.identity)) return;
    const at = this.#sockets.indexOf(from);
    if (isNarrow && isWide(from) && at >= 0) {
      this.#sockets[at] = given;
      // A datagram socket has its port as long as a copy of it is open.
      this.inherited.drop(from);
    } else this.#sockets.push(given);
  }

  /** A handle that came from another process, over IPC, with a held socket in it. */
  #borrowed(handle: Handle): Taken | null {
    const identity = handle.fd === undefined ? null : identityOf(handle.fd);
    const socket = this.#sockets.find((one) => one.identity === identity);
    if (socket === undefined || !this.matches) return null;
    const claim = this.#claims.claim(socket.identity, true);
    onClose(handle, () => claim?.release());
    return { socket, wish: null, isOnlyLooking: false };
  }

  #serving(server: Server, handle: Handle, { socket }: Taken): void {
    this.#begin();
    let receiver: Receiver | null = null;
    try {
      receiver = this.passed.handOff && mayMove(server) ? receive(server, this.passed.token) : null;
    } catch {
      // Idle connections are closed then, and not moved; the server serves all the same.
    }
    const forget = this.agent.manage(manage(server, handle, this.#known(socket)));
    onClose(handle, () => {
      receiver?.close();
      forget();
    });
    const { identity } = socket;
    this.agent.tell({ kind: 'listening', identity, note: this.#note(handle), receiver: receiver?.name ?? null });
  }

  /** An endpoint that is not held: hold learns it, or can say why the next generation cannot have it. */
  #notHeld(server: Server, handle: Handle, error: number): void {
    if (!this.matches) return;
    const at = {};
    handle.getsockname?.(at);
    const { address, port } = at as { address?: string; port?: number };
    if (address === undefined || port === undefined) return;
    if (error !== 0) {
      this.#tellBlocked({ protocol: 'tcp', address, port }, error);
      return;
    }
    this.agent.connect();
    // It came with a descriptor, or from another process: who made it can make it again.
    const asked = this.#asked.get(handle);
    if (asked === undefined) {
      onClose(handle, this.agent.manage(manage(server, handle, null)));
      return;
    }
    const report = (): void => {
      const { fd } = handle;
      const identity = fd === undefined ? null : identityOf(fd);
      if (fd === undefined || identity === null || isProbe(server)) return;
      const forget = this.agent.manage(manage(server, handle, null));
      const reported: Reported = { identity, address, port, asked, isOpen: true };
      // Hold may give a copy to another process of the run, which is for when this one has closed it.
      const claim = this.passed.learn ? this.#claims.claim(identity, false) : null;
      onClose(handle, () => {
        claim?.release();
        reported.isOpen = false;
        forget();
      });
      this.#reports.add(reported);
      const endpoint: Endpoint = { protocol: 'tcp', address, port };
      this.agent.tell({ kind: 'unmanaged', endpoint, asked, descriptor: fd, identity });
    };
    if (!isProbe(server)) report();
    else setImmediate(report).unref();
  }

  #begin(): void {
    this.hasTaken = true;
    this.agent.connect();
  }

  #known({ identity }: PassedSocket): { readonly identity: string; readonly token: string } {
    return { identity, token: this.passed.token };
  }

  /** What a person should know of a socket that is not exactly what the program asked for; null when it is. */
  #note(handle: Handle): string | null {
    const taken = this.#taken.get(handle);
    if (taken === undefined || taken.wish === null || taken.wish.protocol === 'unix') return null;
    const { endpoint, asked } = taken.socket;
    if (endpoint.protocol === 'unix' || asked !== null) return null;
    const { address, v6Only } = taken.wish;
    if (v6Only && endpoint.address === '::' && !taken.socket.v6Only)
      return 'The program asked for IPv6 only; the held socket also takes IPv4';
    if (address === endpoint.address || (address === '::' && taken.socket.explicit)) return null;
    return `The program asked for ${address} and is served on ${formatEndpoint(endpoint)}`;
  }

  #tellBlocked(endpoint: Endpoint, error: number): void {
    const code = getSystemErrorName(error);
    if (this.matches && portErrors.has(code)) this.agent.tell({ kind: 'blocked', endpoint, code });
  }
}

function handleOf(server: Server): Handle | null {
  return (server as unknown as { _handle: Handle | null })._handle;
}
