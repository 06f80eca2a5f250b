/**
 * Starts an actor and talks to it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { InetEndpoint } from '../model/endpoint.ts';
import { NativeError } from '../os/errors.ts';
import type { Actor, ActorSocket, OpenOptions } from './actor.ts';
import type { ActorAnswer, ActorMessage } from './actor-program.ts';
import { asleep } from './asleep.ts';
import type { StageUser } from './stage.ts';

/** The environment of the processes of a stage: nothing of the caller's that would change how Node runs. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _options, NODE_TEST_CONTEXT: _context, NODE_V8_COVERAGE: _coverage, ...rest } = process.env;
  return rest;
}

/**
 * Starts an actor and resolves when it takes calls. `enter` is what to put before a command so that it runs where the actor is to be.
 *
 * @throws {Error} when it left before.
 */
export async function startActor(role: string, user?: StageUser, enter: readonly string[] = []): Promise<Actor> {
  const program = fileURLToPath(new URL('../stage/actor-program.js', import.meta.url));
  const [file = '', ...args] = [...enter, ...givenUp(enter, user), process.execPath, program, role];
  const child = spawn(file, args, {
    stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'ipc'],
    env: plainEnvironment(),
    cwd: '/',
    ...(enter.length === 0 ? user : {}),
  });
  const leash = leashOf(child);
  const conversation = new Conversation(child);
  try {
    await conversation.ready;
  } catch (error) {
    leash.destroy();
    throw error;
  }
  return actorOf(child, leash, conversation);
}

/** Only root enters a namespace, so there the user changes after it. */
function givenUp(enter: readonly string[], user: StageUser | undefined): string[] {
  if (enter.length === 0 || user === undefined) return [];
  return ['setpriv', `--reuid=${user.uid}`, `--regid=${user.gid}`, '--clear-groups'];
}

/** The stage's end of the leash of a child; see leash.ts. */
export function leashOf(child: ChildProcess): Socket {
  const leash = child.stdio[3] as Socket;
  leash.resume();
  // A child that is killed resets the stream; that is an end like any other.
  leash.on('error', () => {});
  return leash;
}

/** Lets go of a leash, and resolves when every process that held it is gone. */
export async function release(leash: Socket): Promise<void> {
  if (leash.closed) return;
  const closed = once(leash, 'close');
  leash.end();
  await closed;
}

class Conversation {
  readonly ready: Promise<void>;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  #lastId = 0;

  constructor(child: ChildProcess) {
    this.#child = child;
    this.ready = new Promise((resolve, reject) => {
      this.#waiting.set(0, { resolve: () => resolve(), reject });
    });
    child.on('message', (answer: ActorAnswer) => this.#settle(answer));
    child.on('error', (error) => this.#fail(error));
    child.on('exit', (code, signal) => this.#fail(new Error(`the actor left (${signal ?? `exit status ${code}`})`)));
  }

  call<Value = void>(call: ActorMessage['call'], ...args: readonly unknown[]): Promise<Value> {
    const id = ++this.#lastId;
    return new Promise<Value>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.send({ id, call, args } satisfies ActorMessage, (error) => {
        if (error !== null) this.#settle({ id, failed: { message: error.message } });
      });
    });
  }

  #settle({ id, value, failed }: ActorAnswer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (failed === undefined) waiting?.resolve(value);
    else if ('syscall' in failed) waiting?.reject(new NativeError(failed.syscall, failed.errno));
    else waiting?.reject(new Error(failed.message));
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function actorOf(child: ChildProcess, leash: Socket, conversation: Conversation): Actor {
  const gone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  const end = async (): Promise<void> => {
    // By the handle: until the exit is seen, the pid is this child's and nobody else's.
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await gone;
  };
  return {
    pid: child.pid ?? 0,
    async open(options: OpenOptions = {}) {
      const descriptor = await conversation.call<number>('open', options);
      return socketOf(conversation, descriptor, options.kind === 'udp' ? 'udp' : 'tcp');
    },
    async spawn(role, inherit, serving = false) {
      const descriptors = inherit.map((socket) => socket.descriptor);
      const spawned = await conversation.call<number>('spawn', role, descriptors, serving);
      await asleep(spawned);
      return { pid: spawned };
    },
    async exit() {
      child.disconnect();
      await gone;
    },
    kill: end,
    async [Symbol.asyncDispose]() {
      await end();
      await release(leash);
    },
  };
}

function socketOf(conversation: Conversation, descriptor: number, protocol: InetEndpoint['protocol']): ActorSocket {
  const call = <Value = void>(name: ActorMessage['call'], ...args: readonly unknown[]): Promise<Value> =>
    conversation.call<Value>(name, descriptor, ...args);
  return {
    descriptor,
    bind: (address, port) => call('bind', { protocol, address, port }),
    bindPath: (path) => call('bind', { protocol: 'unix', path }),
    listen: (backlog = 16) => call('listen', backlog),
    connect: (address, port) => call('connect', { protocol, address, port }),
    connectPath: (path) => call('connect', { protocol: 'unix', path }),
    serve: () => call('serve'),
    async beginRead() {
      await call('beginRead');
    },
    accept: async () => socketOf(conversation, await call<number>('accept'), protocol),
    shutdown: (how) => call('shutdown', how),
    setOption: (name, value) => call('setOption', name, value),
    setRaw: (level, name, hex) => call('setRaw', level, name, hex),
    dropPackets: () => call('dropPackets'),
    beginConnect: (address, port) => call('beginConnect', { protocol, address, port }),
    address: () => call('address'),
    inetAddress: () => call<InetEndpoint>('address'),
    send: (limit) => call<number>('send', limit),
    close: () => call('close'),
  };
}
