/**
 * The connection of a program to the hold that runs it: says what it listens on, and drains when it is asked to.
 *
 * It never keeps the program alive, and a program whose hold is gone ends itself.
 */
import { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';
import { threadId } from 'node:worker_threads';
import {
  type AgentMessage,
  type DrainCounts,
  type DrainOrder,
  type HoldMessage,
  holdMessage,
  line,
  mostText,
  readLines,
} from '../hold/wire/messages.ts';
import { controlPath, type Passed } from '../hold/wire/passed.ts';
import { newPipe } from './bindings.ts';
import { inheritedReference } from './inherited.ts';

/** How long a program that lost its hold may take to end by itself. */
const endAloneMs = 2_000;

/** A server that takes part in restarts. */
export interface Managed {
  /** It will be stopped in a moment: answers say so. */
  sayFarewell(times: Pick<DrainOrder, 'graceMs' | 'lingerMs'>): void;
  /** Accepts no more; open connections stay. */
  stop(): void;
  /** Ends the open connections one by one, each when it may. */
  drain(order: DrainOrder): Promise<DrainCounts>;
}

/** Connections that end at once, though hold is there, are not tried again more often than this. */
const mostAttempts = 3;
/** Messages that a new connection repeats. */
const mostRepeated = 64;

/** Node's own, as it is before the program or its monitor wraps it. */
const { connect } = Socket.prototype;

/** A connection that diagnostics_channel does not tell of (`net.client.socket`): the program subscribes to its own clients. */
function plainConnect(path: string): Socket {
  const pipe = newPipe();
  if (pipe === null) {
    const socket = new Socket();
    Reflect.apply(connect, socket, [path]);
    return socket;
  }
  const socket = new Socket({ handle: pipe.handle, manualStart: true } as ConstructorParameters<typeof Socket>[0]);
  // What is written meanwhile waits for 'connect' (Socket._writeGeneric in lib/net.js).
  const state = Object.assign(socket, { connecting: true });
  const done = (status: number): void => {
    state.connecting = false;
    if (socket.destroyed) return;
    if (status !== 0) {
      socket.destroy(Object.assign(new Error('connect'), { code: getSystemErrorName(status) }));
      return;
    }
    socket.emit('connect');
    socket.read(0);
  };
  const status = pipe.connect(path, done);
  if (status !== 0) process.nextTick(done, status);
  return socket;
}

export class Agent {
  readonly #passed: Passed;
  readonly #managed = new Set<Managed>();
  /** What hold must know of this program, should the connection be lost and made again. */
  readonly #lasting: AgentMessage[] = [];
  #socket: Socket | null = null;
  #attempts = 0;
  #draining = false;

  constructor(passed: Passed) {
    this.#passed = passed;
  }

  /** Connects at once; everything said before the connection stands is sent when it does. */
  connect(): void {
    // Sockets of a service manager come without anybody to talk to.
    if (this.#socket !== null || this.#passed.control === '') return;
    this.#open(controlPath(this.#passed.control), false);
  }

  tell(message: AgentMessage): void {
    const isLasting = message.kind === 'listening' || message.kind === 'ready' || message.kind === 'unmanaged';
    if (isLasting && this.#lasting.length < mostRepeated) this.#lasting.push(message);
    this.#socket?.write(line(message));
  }

  /** @param again True when hold was met before: only its absence ends this program, not the loss of a connection. */
  #open(path: string, again: boolean): void {
    const socket = plainConnect(path);
    this.#socket = socket;
    socket.setEncoding('utf8').unref();
    const read = readLines((value) => this.#hear(holdMessage(value)));
    socket.on('data', (chunk: Buffer | string) => {
      if (read(String(chunk)) === null) socket.destroy();
    });
    let isMet = false;
    let failure = '';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      failure = error.code ?? '';
    });
    socket.on('connect', () => {
      isMet = true;
    });
    socket.on('close', () => {
      if (isMet) this.#lost();
      else if (again) this.#isGone(failure);
      else this.#unreached(path);
    });
    this.tell({
      kind: 'hello',
      token: this.#passed.token,
      pid: process.pid,
      parent: process.ppid,
      thread: threadId,
      generation: this.#passed.generation,
      title: process.argv.slice(0, 2).join(' ').slice(0, mostText),
    });
    if (again) for (const message of this.#lasting) socket.write(line(message));
  }

  /** The name leads to hold no more, for who changed its user or its view of the file system; an inherited descriptor still does. */
  #unreached(path: string): void {
    const inherited = this.#passed.reference === null ? null : inheritedReference(this.#passed.reference);
    // In a container, or below a wrapper that closes descriptors, hold cannot be reached at all; that is no reason to end.
    if (inherited === null || path === inherited) return;
    this.#open(inherited, false);
    for (const message of this.#lasting) this.#socket?.write(line(message));
  }

  /** Hold is gone, or it broke off this connection alone: a second one tells. */
  #lost(): void {
    if (++this.#attempts > mostAttempts) return;
    const { control, reference } = this.#passed;
    this.#open((reference === null ? null : inheritedReference(reference)) ?? controlPath(control), true);
  }

  /** Only where the kernel says that nobody has the socket open any more; not when it is busy (EAGAIN), or we lack descriptors. */
  #isGone(code: string): void {
    if (code === 'ECONNREFUSED' || code === 'ENOENT') this.#alone();
  }

  /** A server that takes part from now on. Call what is returned when it is closed. */
  manage(managed: Managed): () => void {
    this.#managed.add(managed);
    // It began to listen after it was asked to stop: nobody can have been accepted yet.
    if (this.#draining) managed.stop();
    return () => {
      if (!this.#draining) this.#managed.delete(managed);
    };
  }

  /** False for what hold does not say. */
  #hear(message: HoldMessage | undefined): boolean {
    if (message?.kind === 'farewell') {
      for (const managed of this.#managed) managed.sayFarewell(message);
    } else if (message?.kind === 'stop') {
      this.#draining = true;
      // From here on the order of the end is hold's: a program with nothing left to do still gets its SIGTERM.
      this.#socket?.ref();
      for (const managed of this.#managed) managed.stop();
      this.tell({ kind: 'stopped' });
    } else if (message?.kind === 'drain') {
      void this.#drain(message);
    }
    return message !== undefined;
  }

  async #drain(order: DrainOrder): Promise<void> {
    const all = await Promise.all([...this.#managed].map((managed) => managed.drain(order)));
    const sum = (pick: (counts: DrainCounts) => number): number => all.reduce((total, one) => total + pick(one), 0);
    this.tell({
      kind: 'drained',
      counts: {
        finished: sum((one) => one.finished),
        idle: sum((one) => one.idle),
        killed: sum((one) => one.killed),
        handedOff: sum((one) => one.handedOff),
      },
    });
  }

  /** The hold is gone: nobody would ever end this process, and it would keep the port. */
  #alone(): void {
    if (threadId !== 0) return;
    const timer = setTimeout(() => process.kill(process.pid, 'SIGKILL'), endAloneMs);
    timer.unref();
    process.kill(process.pid, 'SIGTERM');
  }
}
