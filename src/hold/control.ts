/**
 * Hold's side of the control socket: programs say hello, other terminals ask. In Linux's abstract namespace, so it needs
 * no directory that can be written, and nothing is left behind when hold is killed.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import { openDescriptor } from '../server/descriptor.ts';
import { type AgentMessage, type Ask, type GiveAnswer, type HoldMessage, line, readLines } from './wire/messages.ts';
import { controlPath } from './wire/passed.ts';

/** A connected program. */
export interface AgentConnection {
  readonly pid: number;
  readonly parent: number;
  readonly thread: number;
  readonly generation: number;
  readonly title: string;
  tell(message: HoldMessage): void;
  /** Called with every message after the hello. */
  onMessage: (message: AgentMessage) => void;
  /** Called once. */
  onClose: () => void;
}

export interface ControlHandlers {
  agent(connection: AgentConnection): void;
  /** The socket a program asks for, or why it cannot have it. */
  give(
    identity: string,
    address: { readonly host: string | null; readonly v6Only: boolean },
  ): Promise<{ readonly answer: GiveAnswer; readonly fd: number | null }>;
  /** A program ends because of this error. */
  failed(generation: number, message: string): void;
  ask(question: Ask): Promise<object>;
}

/** How long a connection of another user may be silent; a program that changed user connects before that. */
const strangerMs = 10_000;
/** sizeof(sun_path) in struct sockaddr_un (unix(7)). */
const longestName = 108;

/** Where another terminal, in another directory, finds the hold of an endpoint. */
export function controlNameOf(endpoint: Endpoint, uid: number): string {
  const isFile = endpoint.protocol === 'unix' && !endpoint.path.startsWith('\0');
  const name = `@rebind-hold/${uid}/${formatEndpoint(isFile ? { ...endpoint, path: resolve(endpoint.path) } : endpoint)}`;
  if (Buffer.byteLength(name) < longestName) return name;
  return `@rebind-hold/${uid}/${createHash('sha256').update(name).digest('hex')}`;
}

export class Control {
  /** What programs connect to. */
  readonly name: string;
  /** What programs prove themselves with. */
  readonly token = randomBytes(16).toString('hex');
  readonly #handlers: ControlHandlers;
  readonly #servers: Server[] = [];
  /** Connections, and who made them (SO_PEERCRED). */
  readonly #open = new Map<Socket, number>();

  private constructor(handlers: ControlHandlers) {
    this.#handlers = handlers;
    this.name = `@rebind-hold/${process.getuid?.() ?? 0}/${process.pid}-${randomBytes(6).toString('hex')}`;
  }

  static async open(handlers: ControlHandlers): Promise<Control> {
    const control = new Control(handlers);
    await control.#listen(control.name);
    return control;
  }

  /** Lets other terminals find this hold by an endpoint. False when somebody has that name already. */
  async addEndpoint(endpoint: Endpoint): Promise<boolean> {
    try {
      await this.#listen(controlNameOf(endpoint, process.getuid?.() ?? 0));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
      throw error;
    }
  }

  /** True when a process has connected, even if nothing of what it said has been read yet. */
  readonly isConnected = (pid: number): boolean => [...this.#open.values()].includes(pid);

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#open.keys()) socket.destroy();
  }

  /** Node 20 fills an abstract name up with NUL bytes, later ones do not: two names for one socket, so that all find it. */
  async #listen(name: string): Promise<void> {
    const path = controlPath(name);
    await this.#listenOn(path);
    await this.#listenOn(path.padEnd(longestName, '\0'));
  }

  #listenOn(path: string): Promise<void> {
    const { sockets } = os();
    const fd = sockets.open('unix', 4);
    try {
      sockets.bind(fd, { protocol: 'unix', path });
    } catch (error) {
      sockets.close(fd);
      throw error;
    }
    const server = createServer((socket) => this.#accept(socket));
    this.#servers.push(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ fd }, () => {
        server.off('error', reject);
        server.unref();
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    const own = openDescriptor(socket);
    this.#open.set(socket, own === null ? 0 : os().sockets.peer(own).pid);
    socket.setEncoding('utf8').unref();
    let agent: AgentConnection | null = null;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#open.delete(socket);
      agent?.onClose();
    });
    // Somebody of another user without the token has nothing to say; a program of ours may take long until it speaks.
    const stranger = setTimeout(() => socket.destroy(), strangerMs).unref();
    if (own !== null && this.#isOurUser(socket)) clearTimeout(stranger);
    const read = readLines((message) => {
      clearTimeout(stranger);
      if (agent === null) agent = this.#first(socket, message as AgentMessage | Ask);
      else agent.onMessage(message as AgentMessage);
    });
    socket.on('data', (chunk: Buffer | string) => {
      if (!read(String(chunk))) socket.destroy();
    });
  }

  /** The first line decides what the connection is. */
  #first(socket: Socket, message: AgentMessage | Ask): AgentConnection | null {
    if (message.kind === 'hello' && this.#proves(message.token)) {
      const connection: AgentConnection = {
        pid: message.pid,
        parent: message.parent,
        thread: message.thread,
        generation: message.generation,
        title: message.title,
        tell: (order) => {
          if (!socket.destroyed) socket.write(line(order));
        },
        onMessage: () => {},
        onClose: () => {},
      };
      this.#handlers.agent(connection);
      return connection;
    }
    if (message.kind === 'failed' && this.#proves(message.token)) {
      this.#handlers.failed(message.generation, message.message);
      return null;
    }
    if (message.kind === 'give' && this.#proves(message.token)) void this.#give(socket, message);
    else if ((message.kind === 'status' || message.kind === 'restart') && this.#isOurUser(socket))
      void this.#answer(socket, message);
    else socket.destroy();
    return null;
  }

  async #give(
    socket: Socket,
    message: { readonly identity: string; readonly host: string | null; readonly v6Only: boolean },
  ): Promise<void> {
    const { answer, fd } = await this.#handlers.give(message.identity, message);
    const own = openDescriptor(socket);
    if (own === null || socket.destroyed) return;
    // Straight to the descriptor: Node has no way to send one. Nothing of Node's is in the way, as nothing was written yet.
    os().sockets.sendDescriptors(own, fd === null ? [] : [fd], Buffer.from(line(answer)));
  }

  async #answer(socket: Socket, question: Ask): Promise<void> {
    socket.end(line(await this.#handlers.ask(question)));
  }

  #proves(token: unknown): boolean {
    const given = Buffer.from(String(token));
    const ours = Buffer.from(this.token);
    return given.length === ours.length && timingSafeEqual(given, ours);
  }

  /** An abstract socket has no permissions, so who connects is asked (SO_PEERCRED). */
  #isOurUser(socket: Socket): boolean {
    const fd = openDescriptor(socket);
    if (fd === null) return false;
    const { uid } = os().sockets.peer(fd);
    return uid === 0 || uid === process.getuid?.();
  }
}
