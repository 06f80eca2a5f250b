/**
 * Hold's side of the control socket: programs say hello, other terminals ask.
 *
 * Who speaks is what the kernel says: a program of hold, or this user, or root. What a connection says wrong ends that connection, and nothing else.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { resolve } from 'node:path';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import type { ProcessIdentity } from '../model/facts.ts';
import type { Channel, Listener, Peer } from '../os/channels.ts';
import { os } from '../os/index.ts';
import { openDescriptor } from '../server/descriptor.ts';
import {
  type AgentMessage,
  type Ask,
  agentMessage,
  askMessage,
  type GiveAnswer,
  type Heard,
  type HoldMessage,
  type LeaseAnswer,
  line,
  readLines,
  type ServedAnswer,
} from './wire/messages.ts';

/** A connected program. */
export interface AgentConnection {
  /** As the kernel says: what a message says about a process is not used. */
  readonly pid: number;
  /** The same process, also when its number is reused later; null where /proc does not show it. */
  readonly identity: ProcessIdentity | null;
  /** Its user when it connected. */
  readonly uid: number;
  readonly generation: number;
  tell(message: HoldMessage): void;
  /** Called with every message after the hello. */
  onMessage: (message: AgentMessage) => void;
  /** Called once. */
  onClose: () => void;
}

export interface ControlHandlers {
  /** The runs of the command, by number. */
  readonly generations: ReadonlyMap<number, { isProgram(pid: number): boolean }>;
  agent(connection: AgentConnection): void;
  /** The socket a program asks for, or why it cannot have it. */
  give(
    identity: string,
    address: { readonly host: string | null; readonly v6Only: boolean },
  ): Promise<{ readonly answer: GiveAnswer; readonly fd: number | null }>;
  /** The socket that was learned from an earlier process of the run, for a process of this user. */
  find(
    asked: { readonly host: string; readonly port: number },
    uid: number,
  ): { readonly answer: GiveAnswer; readonly fd: number | null };
  /** The leased port that stands for a port that a program asks for, or null. */
  lease(port: number): number | null;
  /** True when another process of the run than this one serves on the socket, or may. */
  serves(generation: number, identity: string, besides: number): boolean;
  /** A program ends because of this error. */
  failed(generation: number, message: string): void;
  /** What other terminals ask. */
  readonly hold: { status(): object; restart(reason: string): Promise<object>; stop(): Promise<void> };
  readonly settings: { readonly readyTimeoutMs: number; readonly graceMs: number };
}

/** What connects for another reason than being a program of ours: terminals that ask. */
const mostAskers = 16;
/** A process connects once for each of its threads that serve, and for each socket that it asks for. */
const mostOfProcess = 128;
const mostPrograms = 1_024;
/** Characters of lines that are not complete yet, of one generation: a line is complete at once, and a thousand connections could have one each. */
const mostUnfinished = 1_048_576;
/** Half of them, so that a generation which uses up its own cannot keep the next one from being heard. */
const shareOfGeneration = 0.5;
/** A terminal that asks says so at once. A program may take long until it speaks: it starts up without its event loop. */
const firstLineMs = 10_000;
/** Looking at what there is. */
const statusMs = 5_000;
/** Reading an answer. */
const readingMs = 10_000;

/** The published name by which another terminal, in another directory, finds the hold of an endpoint. */
export function controlNameOf(endpoint: Endpoint): string {
  const isFile = endpoint.protocol === 'unix' && !endpoint.path.startsWith('\0');
  // A port can be held once in each network namespace; a file is the same in all of them.
  const where = isFile ? '' : `${os().channels.network()} `;
  const what = formatEndpoint(isFile ? { ...endpoint, path: resolve(endpoint.path) } : endpoint);
  return `at-${createHash('sha256').update(`${where}${what}`).digest('hex').slice(0, 32)}`;
}

/** What every hold's own name begins with. */
export const holdPrefix = 'hold-';

interface Open {
  readonly peer: Peer;
  /** The run of the command that it is part of; null for a terminal that asks. */
  readonly of: number | null;
  /** Characters of its line that is not complete yet. */
  unfinished: number;
}

export class Control {
  /** What programs prove themselves with. */
  readonly token = randomBytes(16).toString('hex');
  readonly #handlers: ControlHandlers;
  readonly #open = new Map<Socket, Open>();
  readonly #mostPrograms: number;
  #listener: Listener | null = null;

  private constructor(handlers: ControlHandlers) {
    this.#handlers = handlers;
    // Three quarters of the descriptors stay for everything else that hold does.
    this.#mostPrograms = Math.min(mostPrograms, Math.max(16, Math.floor(os().channels.descriptorLimit() / 4)));
  }

  static async open(handlers: ControlHandlers): Promise<Control> {
    const control = new Control(handlers);
    control.#listener = await os().channels.listen(`${holdPrefix}${process.pid}-${randomBytes(8).toString('hex')}`, {
      anyUser: true,
      admit: (peer) => control.#admits(peer),
      onChannel: (channel) => control.#accept(channel),
    });
    return control;
  }

  /** What programs connect to. */
  get name(): string {
    return this.#listener?.address ?? '';
  }

  /** What a program that changed its user connects through. */
  get reference(): Listener['reference'] {
    return this.#listener?.reference ?? null;
  }

  /** Lets other terminals find this hold by an endpoint. False when another hold that is alive has that name already. */
  addEndpoint(endpoint: Endpoint): boolean {
    return this.#listener?.publish(controlNameOf(endpoint)) === 'done';
  }

  /** True when a process has connected, even if nothing of what it said has been read yet. */
  readonly isConnected = (pid: number): boolean => [...this.#open.values()].some(({ peer }) => peer.pid === pid);

  close(): void {
    this.#listener?.close();
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #admits(peer: Peer): boolean {
    const of = this.#generationOf(peer.pid);
    if (of === null && !isOurUser(peer)) return false;
    const alike = [...this.#open.values()].filter((one) => one.of === of);
    if (of === null) return alike.length < mostAskers;
    if (alike.filter((one) => one.peer.pid === peer.pid).length >= mostOfProcess) return false;
    return alike.length < this.#mostPrograms * shareOfGeneration;
  }

  #accept({ peer, socket }: Channel): void {
    const of = this.#generationOf(peer.pid);
    const open: Open = { peer, of, unfinished: 0 };
    this.#open.set(socket, open);
    // Now, and not when it speaks: it may be gone by then, and its number another process's.
    const identity = peer.pid > 0 ? os().processes.identify(peer.pid) : null;
    let agent: AgentConnection | null = null;
    let isFirst = true;
    socket.on('close', () => {
      clearTimeout(silent);
      this.#open.delete(socket);
      agent?.onClose();
    });
    const silent = of !== null ? undefined : setTimeout(() => socket.destroy(), firstLineMs).unref();
    const hear = (value: unknown): boolean => {
      const message = agentMessage(value);
      if (isFirst) {
        isFirst = false;
        clearTimeout(silent);
        agent = message?.kind === 'hello' ? this.#hello(socket, peer, identity, message) : null;
        return agent !== null || this.#first(socket, peer, message ?? askMessage(value));
      }
      // The hello comes once, and what has a token has a connection of its own.
      if (agent === null || message === undefined || 'token' in message) return false;
      agent.onMessage(message);
      return true;
    };
    const read = readLines(hear);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: Buffer | string) => {
      try {
        const unfinished = read(String(chunk));
        open.unfinished = unfinished ?? 0;
        if (unfinished === null || this.#unfinishedOf(of) > mostUnfinished) socket.destroy();
      } catch {
        // Whatever a message led to: the connection that sent it is what ends.
        socket.destroy();
      }
    });
    socket.resume();
  }

  #hello(
    socket: Socket,
    peer: Peer,
    identity: ProcessIdentity | null,
    message: AgentMessage & { kind: 'hello' },
  ): AgentConnection | null {
    if (!this.#proves(peer, message)) return null;
    const connection: AgentConnection = {
      pid: peer.pid,
      identity,
      uid: peer.uid,
      generation: message.generation,
      tell: (order) => {
        if (!socket.destroyed) socket.write(line(order));
      },
      onMessage: () => {},
      onClose: () => {},
    };
    this.#handlers.agent(connection);
    return connection;
  }

  /** The first line decides what the connection is. False for nothing that we know. */
  #first(socket: Socket, peer: Peer, message: AgentMessage | Ask | undefined): boolean {
    if (message?.kind === 'failed' && this.#proves(peer, message)) {
      this.#handlers.failed(message.generation, message.message);
      return true;
    }
    if (message?.kind === 'give' && this.#proves(peer, message)) {
      void this.#give(socket, message).catch(() => socket.destroy());
      return true;
    }
    if (message?.kind === 'find' && this.#proves(peer, message) && this.#isOf(peer, message.generation)) {
      this.#send(socket, this.#handlers.find(message, peer.uid));
      return true;
    }
    if (message?.kind === 'lease' && this.#proves(peer, message) && this.#isOf(peer, message.generation)) {
      socket.end(line({ port: this.#handlers.lease(message.port) } satisfies LeaseAnswer));
      this.#closeSoon(socket);
      return true;
    }
    if (message?.kind === 'served' && this.#proves(peer, message)) {
      const served = this.#handlers.serves(message.generation, message.identity, peer.pid);
      socket.end(line({ served } satisfies ServedAnswer));
      this.#closeSoon(socket);
      return true;
    }
    if (message?.kind !== 'status' && message?.kind !== 'restart' && message?.kind !== 'stop') return false;
    if (!isOurUser(peer)) return false;
    void this.#answer(socket, message).catch(() => socket.destroy());
    return true;
  }

  async #give(
    socket: Socket,
    message: { readonly identity: string; readonly host: string | null; readonly v6Only: boolean },
  ): Promise<void> {
    this.#send(socket, await this.#handlers.give(message.identity, message));
  }

  #send(socket: Socket, { answer, fd }: { readonly answer: GiveAnswer; readonly fd: number | null }): void {
    const own = openDescriptor(socket);
    if (own === null || socket.destroyed) return;
    // Straight to the descriptor: Node has no way to send one. Nothing of Node's is in the way, as nothing was written yet.
    os().sockets.sendDescriptors(own, fd === null ? [] : [fd], Buffer.from(line(answer)));
    this.#closeSoon(socket);
  }

  async #answer(socket: Socket, question: Ask): Promise<void> {
    const { readyTimeoutMs, graceMs } = this.#handlers.settings;
    const heard: Heard = {
      heard: true,
      withinMs: question.kind === 'status' ? statusMs : readyTimeoutMs + 2 * graceMs + statusMs,
    };
    socket.write(line(heard));
    socket.end(line(await this.#outcome(question)));
    this.#closeSoon(socket);
  }

  async #outcome({ kind }: Ask): Promise<object> {
    if (kind === 'status') return this.#handlers.hold.status();
    if (kind === 'restart') return this.#handlers.hold.restart('asked for from another terminal');
    await this.#handlers.hold.stop();
    return { stopped: true };
  }

  #unfinishedOf(of: number | null): number {
    let sum = 0;
    for (const one of this.#open.values()) if (one.of === of) sum += one.unfinished;
    return sum;
  }

  #generationOf(pid: number): number | null {
    for (const [number, one] of this.#handlers.generations) if (one.isProgram(pid)) return number;
    return null;
  }

  /** Not only of our user, or root: a process of exactly this run. */
  #isOf({ pid }: Peer, generation: number): boolean {
    return this.#handlers.generations.get(generation)?.isProgram(pid) === true;
  }

  /** Who asks and does not read, or does not go, keeps no descriptor of ours for ever. */
  #closeSoon(socket: Socket): void {
    const timer = setTimeout(() => socket.destroy(), readingMs).unref();
    socket.once('close', () => clearTimeout(timer));
  }

  /** The token shows that it was started by this hold; of another user's process the kernel must say so as well, for exactly this run. */
  #proves(peer: Peer, { token, generation }: { readonly token: string; readonly generation?: number }): boolean {
    const given = Buffer.from(token);
    const ours = Buffer.from(this.token);
    if (given.length !== ours.length || !timingSafeEqual(given, ours)) return false;
    if (isOurUser(peer)) return true;
    if (generation === undefined) return this.#generationOf(peer.pid) !== null;
    return this.#handlers.generations.get(generation)?.isProgram(peer.pid) === true;
  }
}

function isOurUser({ uid }: Peer): boolean {
  return uid === 0 || uid === process.geteuid?.();
}
