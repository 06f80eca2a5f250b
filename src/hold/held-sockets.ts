/**
 * All sockets of one hold: opened, learned from the program, given to processes that they did not reach, let go.
 */

import { fstatSync } from 'node:fs';
import { addressesOf } from '../ask/request.ts';
import { BlockedPortError } from '../errors.ts';
import { isWildcard, shortestIpv6 } from '../model/address.ts';
import {
  type Endpoint,
  formatEndpoint,
  nodeTcpOptions,
  nodeUdpOptions,
  type ParsedEndpoint,
} from '../model/endpoint.ts';
import type { Holder, ProcessIdentity } from '../model/facts.ts';
import type { Remedy } from '../model/verdict.ts';
import { isNativeError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import { type AgentConnection, holdPrefix } from './control.ts';
import { fileFields, fileOf, type HeldSocket, isReachable, keep, keepFileOf, letGo, openHeld } from './held-socket.ts';
import { passedTo } from './runaways.ts';
import { passedOf } from './spawn.ts';
import { whyNotListener } from './wire/listen-fds.ts';
import type { AgentMessage, GiveAnswer } from './wire/messages.ts';
import { controlPath } from './wire/passed.ts';

export type Unmanaged = AgentMessage & { readonly kind: 'unmanaged' };

/** The address that a program wants of a bare port; null when it wants what is held. */
export interface NarrowAddress {
  readonly host: string | null;
  readonly v6Only: boolean;
}

/** Addresses of a bare port that programs may ask for: 127.0.0.0/8 alone has more than there are descriptors. */
const mostNarrowed = 64;

/** What is taken over: the ports, and whether programs are included that are only stopped when confirmed. */
interface Takes {
  readonly ports: ReadonlySet<number>;
  readonly yes: boolean;
}

export class HeldSockets {
  readonly list: HeldSocket[] = [];
  /** The processes whose sockets were taken over, to be asked to finish. */
  readonly former: Holder[] = [];
  /** What there is to say about the sockets that were taken over. */
  readonly remarks: string[] = [];
  /** Those whose port the kernel chose. */
  readonly chosen: HeldSocket[] = [];
  /** Sockets that were replaced, by their old identity. */
  readonly #replaced = new Map<string, HeldSocket>();
  /** Addresses of a bare port that programs asked for. */
  readonly #narrowed = new WeakSet<HeldSocket>();
  readonly #backlog: number;

  constructor(backlog: number) {
    this.#backlog = backlog;
  }

  /** Takes in listening descriptors of this process. @throws {RangeError} when one is anything else. */
  adopt(descriptors: readonly number[]): void {
    for (const fd of descriptors) {
      const why = whyNotListener(os(), fd);
      if (why !== null) throw new RangeError(`Descriptor ${fd} cannot be held: ${why}`);
    }
    for (const fd of descriptors) this.list.push(keep(fd, true));
  }

  /** Opens or takes every one of these. @throws {BlockedPortError} when one cannot be bound, or not taken. */
  async open(endpoints: readonly ParsedEndpoint[], mayTakeOver: boolean, yes: boolean): Promise<void> {
    const ports = new Set(endpoints.flatMap((one) => (one.protocol === 'unix' ? [] : [one.port])));
    for (const endpoint of endpoints) await this.#open(endpoint, mayTakeOver ? { ports, yes } : null);
  }

  /**
   * Binds and listens, or takes the socket of the program that listens there.
   *
   * @param takes Null when nobody's socket is taken.
   * @throws {BlockedPortError} when it cannot be bound, or not taken.
   */
  async #open(parsed: ParsedEndpoint, takes: Takes | null): Promise<void> {
    const explicit = parsed.protocol === 'unix' || parsed.host !== null;
    const addresses = await addressesOf(parsed);
    for (const [index, endpoint] of addresses.entries()) {
      // Given by the service manager already, or typed twice.
      if (this.list.some((held) => formatEndpoint(held.endpoint) === formatEndpoint(endpoint))) return;
      try {
        const opened = openHeld(endpoint, explicit, this.#backlog);
        this.list.push(opened);
        if (endpoint.protocol !== 'unix' && endpoint.port === 0) this.chosen.push(opened);
        return;
      } catch (error) {
        const noIpv6 = isNativeError(error) && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL');
        if (noIpv6 && index < addresses.length - 1) continue;
        if (!isNativeError(error)) throw error;
        if (error.code !== 'EADDRINUSE' || takes === null) throw await explainFailure(endpoint, error);
        if (!(await this.#take(endpoint, explicit, takes))) this.list.push(openHeld(endpoint, explicit, this.#backlog));
        return;
      }
    }
  }

  /** False when nothing is in the way any more. */
  async #take(endpoint: Endpoint, explicit: boolean, takes: Takes): Promise<boolean> {
    // Only here: the causes would be a tenth of what a running hold keeps in memory.
    const { takeListener } = await import('../act/take-listener.ts');
    const options = endpoint.protocol === 'udp' ? nodeUdpOptions : nodeTcpOptions;
    const taken = takeListener(os(), { endpoint, options }, explicit, takes.ports, takes.yes);
    if (taken === null) return false;
    const file = endpoint.protocol === 'unix' ? fileOf(endpoint) : null;
    this.list.push({ ...keep(taken.fd, explicit), ...fileFields(file), kept: keepFileOf(endpoint) });
    this.former.push(...taken.former);
    for (const { pid, command } of taken.left)
      this.remarks.push(
        `Process ${pid} (${command}) also has the socket open and does not accept connections: it is left alone`,
      );
    return true;
  }

  /** True for a bare port that was opened, and that a program asked for an address of. */
  wasReplaced(identity: string): boolean {
    return this.#replaced.has(identity);
  }

  has(identity: string): boolean {
    return this.list.some((socket) => socket.identity === identity);
  }

  /** Takes a copy of a socket that the program opened itself, and owns it from now on; else says why it cannot. */
  learn(message: Unmanaged, agent: Pick<AgentConnection, 'identity' | 'uid'>): HeldSocket | string {
    const { processes, sockets } = os();
    const holder = agent.identity === null ? null : processes.open(agent.identity);
    if (holder === null) return 'it has exited';
    try {
      const taken = holder.takeDescriptor(message.descriptor);
      if (taken.fd === null) return taken.why;
      const refused = refusalOf(taken.fd, message.identity, holder.identity, agent.uid);
      if (refused !== null) {
        sockets.close(taken.fd);
        return refused;
      }
      const socket = keep(taken.fd, true, message.asked);
      this.list.push(socket);
      return socket;
    } finally {
      holder.close();
    }
  }

  /**
   * The socket that a program asks for. `host` is the address it wants when it wants less than is held; then the socket is
   * replaced, if nobody was served yet.
   */
  async give(
    identity: string,
    { host, v6Only }: NarrowAddress,
    mayNarrow: boolean,
  ): Promise<{ answer: GiveAnswer; fd: number | null; narrowed: HeldSocket | null }> {
    const socket = this.#replaced.get(identity) ?? this.list.find((one) => one.identity === identity);
    if (socket === undefined)
      return { answer: { why: 'hold does not keep this socket any more' }, fd: null, narrowed: null };
    if (!isReachable(socket))
      return { answer: { why: 'its file was removed, and hold cannot bring it back' }, fd: null, narrowed: null };
    try {
      const isNarrow = host !== null && !socket.explicit;
      const { given, isNew } = isNarrow
        ? await this.#narrow(socket, host, v6Only, mayNarrow)
        : { given: socket, isNew: false };
      return { answer: { socket: passedOf(given) }, fd: given.fd, narrowed: isNew ? given : null };
    } catch (error) {
      return { answer: { why: error instanceof Error ? error.message : String(error) }, fd: null, narrowed: null };
    }
  }

  /**
   * The socket that was learned from an earlier process of the run, for another one that asks for the same. Not for a user who did not open it,
   * and whose own bind the kernel might refuse.
   */
  find(
    { host, port }: { readonly host: string; readonly port: number },
    uid: number,
  ): { answer: GiveAnswer; fd: number | null } {
    const address = shortestIpv6(host);
    const socket = this.list.find(({ endpoint, asked }) => {
      if (asked === null || endpoint.protocol !== 'tcp') return false;
      const isAsked = asked.port === port && shortestIpv6(asked.host ?? '::') === address;
      return isAsked || (endpoint.port === port && shortestIpv6(endpoint.address) === address);
    });
    if (socket === undefined) return { answer: { why: 'hold has not learned this endpoint' }, fd: null };
    if (uid !== 0 && uid !== fstatSync(socket.fd).uid)
      return { answer: { why: `uid ${uid} did not open it` }, fd: null };
    return { answer: { socket: passedOf(socket) }, fd: socket.fd };
  }

  /** Refuses new connections from now on, where the sockets are ours alone. */
  refuse(): void {
    for (const socket of this.list) {
      if (socket.own && socket.endpoint.protocol !== 'udp') os().sockets.shutdown(socket.fd);
    }
  }

  letGo(): void {
    for (const socket of this.list.splice(0)) letGo(socket);
  }

  /** A bare port was typed, and the program wants one address of it. Those that it asks for later are opened beside the first one. */
  async #narrow(
    from: HeldSocket,
    host: string,
    v6Only: boolean,
    may: boolean,
  ): Promise<{ readonly given: HeldSocket; readonly isNew: boolean }> {
    const where = formatEndpoint(from.endpoint);
    if (from.endpoint.protocol === 'unix') throw new Error(`${where} has no address`);
    const { protocol, port } = from.endpoint;
    const [endpoint] = await addressesOf({ protocol, host, port });
    if (endpoint === undefined) throw new Error(`${host} has no address`);
    const name = formatEndpoint(endpoint);
    const known = this.list.find(
      (one) => !one.explicit && formatEndpoint(one.endpoint) === name && one.v6Only === v6Only,
    );
    if (known !== undefined) return { given: known, isNew: false };
    const isWide = isWildcard(from.endpoint.address) && this.list.includes(from) && !this.#narrowed.has(from);
    if (isWide && !may)
      throw new Error(`the program now wants ${name}, and hold has ${where}: start hold again with that address`);
    if (!isWide && this.list.filter((one) => this.#narrowed.has(one)).length >= mostNarrowed)
      throw new Error(`hold keeps ${mostNarrowed} addresses of port ${port} already`);
    const { sockets } = os();
    // Every copy stops listening, also those that wrappers inherited; a bound socket with SO_REUSEADDR does not block.
    if (isWide && protocol === 'tcp') sockets.shutdown(from.fd);
    // A datagram socket cannot be unbound, so both allow each other, and the kernel prefers the exact address (udp4_lib_lookup2).
    if (isWide && protocol === 'udp') sockets.setReuseAddress(from.fd, true);
    const given = openHeld(endpoint, false, this.#backlog, {
      v6Only,
      ...(protocol === 'udp' && { reuseAddress: isWide }),
    });
    if (protocol === 'udp') sockets.setReuseAddress(given.fd, false);
    this.#narrowed.add(given);
    if (isWide) {
      letGo(from);
      this.list.splice(this.list.indexOf(from), 1, given);
      this.#replaced.set(from.identity, given);
    } else this.list.push(given);
    return { given, isNew: true };
  }
}

/**
 * Why a copied socket is not learned; null when it is what the program said, and the program could have opened it as the user that it is now,
 * and as the one that it was when it connected: hold serves on it with rights that the program may have given up, or got from a set-user-ID file.
 */
function refusalOf(fd: number, identity: string, program: ProcessIdentity, connectedAs: number): string | null {
  const { sockets, readProcess } = os();
  const stat = fstatSync(fd);
  if (!stat.isSocket() || `${stat.dev}:${stat.ino}` !== identity) return 'its descriptor is another one now';
  if (!sockets.isListening(fd) || sockets.address(fd).protocol !== 'tcp') return 'it is no listening TCP socket';
  const holder = readProcess(program);
  if (holder === null) return 'it has exited';
  // The kernel notes who made a socket as the owner of its inode.
  const stranger = [connectedAs, holder.uid].find((uid) => uid !== 0 && uid !== stat.uid);
  return stranger === undefined ? null : `uid ${stat.uid} opened it, and the process is uid ${stranger}`;
}

/** The kernel's error with `why`'s answer; for a program that an earlier hold left behind there is one remedy more. */
async function explainFailure(endpoint: Endpoint, error: Error): Promise<Error> {
  // Only here: the causes would be a tenth of what a running hold keeps in memory.
  const { explainAsking } = await import('../why.ts');
  const options = endpoint.protocol === 'udp' ? nodeUdpOptions : nodeTcpOptions;
  const report = await explainAsking({ endpoint, options }, os());
  const orphans = report.blockers.flatMap((blocker) => blocker.holders).filter(({ pid }) => isOrphan(pid));
  const plan = [...new Set(orphans.map(({ pid }) => pid))].map(takeOverRemedy);
  return new BlockedPortError({ ...report, plan: [...plan, ...report.plan] }, { cause: error });
}

function takeOverRemedy(pid: number): Remedy {
  return {
    remedy: 'stop-process',
    sentence: `Add --take-over: it starts on the socket of process ${pid}, which an earlier hold left behind, and then asks that one to finish`,
    command: null,
    automatic: false,
    args: { pids: [pid], takeOver: true },
  };
}

/** True for a program whose hold answers no more. What its environment says chooses nothing to connect to: only a hold of ours that is listed. */
function isOrphan(pid: number): boolean {
  const control = passedTo(pid)?.control ?? '';
  if (control === '') return false;
  const { sockets, channels } = os();
  const listed = channels.list(holdPrefix, process.geteuid?.() ?? 0);
  if (!listed.includes(control)) return true;
  const fd = sockets.open('unix', 4);
  try {
    sockets.connect(fd, { protocol: 'unix', path: controlPath(control) });
    return false;
  } catch (error) {
    if (!isNativeError(error)) throw error;
    // EAGAIN: it is there, and busy.
    return error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
  } finally {
    sockets.close(fd);
  }
}
