/**
 * The connection of a program to the hold that runs it: says what it listens on, and drains when it is asked to.
 *
 * It never keeps the program alive, and a program whose hold is gone ends itself.
 */
import { connect, type Socket } from 'node:net';
import { threadId } from 'node:worker_threads';
import {
  type AgentMessage,
  type DrainCounts,
  type DrainOrder,
  type HoldMessage,
  line,
  readLines,
} from '../hold/wire/messages.ts';
import { controlPath, type Passed } from '../hold/wire/passed.ts';

/** How long a program that lost its hold may take to end by itself. */
const endAloneMs = 2_000;

/** A server that takes part in restarts. */
export interface Managed {
  /** Accepts no more; open connections stay. */
  stop(): void;
  /** Ends the open connections one by one, each when it may. */
  drain(order: DrainOrder): Promise<DrainCounts>;
}

export class Agent {
  readonly #passed: Passed;
  readonly #managed = new Set<Managed>();
  #socket: Socket | null = null;
  #draining = false;

  constructor(passed: Passed) {
    this.#passed = passed;
  }

  /** Connects at once; everything said before the connection stands is sent when it does. */
  connect(): void {
    // Sockets of a service manager come without anybody to talk to.
    if (this.#socket !== null || this.#passed.control === '') return;
    const socket = connect(controlPath(this.#passed.control));
    this.#socket = socket;
    socket.setEncoding('utf8').unref();
    const read = readLines((message) => this.#hear(message as HoldMessage));
    socket.on('data', (chunk: Buffer | string) => {
      if (!read(String(chunk))) socket.destroy();
    });
    socket.on('error', () => {});
    let isMet = false;
    socket.on('connect', () => {
      isMet = true;
    });
    // In another network namespace hold cannot be reached at all; that is no reason to end.
    socket.on('close', () => {
      if (isMet) this.#alone();
    });
    this.tell({
      kind: 'hello',
      token: this.#passed.token,
      pid: process.pid,
      parent: process.ppid,
      thread: threadId,
      generation: this.#passed.generation,
      title: process.argv.slice(0, 2).join(' '),
    });
  }

  tell(message: AgentMessage): void {
    this.#socket?.write(line(message));
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

  #hear(message: HoldMessage): void {
    if (message.kind === 'stop') {
      this.#draining = true;
      // From here on the order of the end is hold's: a program with nothing left to do still gets its SIGTERM.
      this.#socket?.ref();
      for (const managed of this.#managed) managed.stop();
      this.tell({ kind: 'stopped' });
    } else if (message.kind === 'drain') {
      void this.#drain(message);
    }
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
