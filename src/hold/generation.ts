/**
 * One run of the command: from its start, through being ready, to the end of its last connection and process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import type { AgentConnection } from './control.ts';
import type { Exit } from './exit.ts';
import type { Guard } from './guard.ts';
import type { HeldSocket } from './held-socket.ts';
import { Tail } from './last-lines.ts';
import { NotifySocket } from './notify.ts';
import { type Evidence, KernelWatch } from './ready.ts';
import { endRunaways } from './runaways.ts';
import type { StopSignal } from './settings.ts';
import { spawning, stdinFor } from './spawn.ts';
import type { AgentMessage, DrainCounts, DrainOrder, HoldMessage } from './wire/messages.ts';
import type { Passed, ReadyBy } from './wire/passed.ts';

export type GenerationState = 'starting' | 'ready' | 'draining' | 'ending' | 'ended';

/** Whether a start succeeded. */
export type Readiness =
  | { readonly ready: true; readonly by: Evidence; readonly afterMs: number }
  | { readonly ready: false; readonly why: 'exit' | 'timeout' | 'aborted' };

export interface GenerationOptions {
  readonly number: number;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  readonly sockets: readonly HeldSocket[];
  readonly control: {
    readonly name: string;
    readonly token: string;
    /** True when this process has the preload, whether it was heard already or not. */
    readonly isConnected: (pid: number) => boolean;
  };
  readonly guard: Guard;
  readonly readyBy: ReadyBy;
  /** After this time a process that lives counts as ready; null asks for evidence. */
  readonly assumeReadyMs: number | null;
  readonly backlog: number;
  readonly learn: boolean;
  readonly handOff: boolean;
  readonly stopSignal: StopSignal;
  /** Where the command's stderr goes when its last lines are kept; null leaves it alone. */
  readonly stderr: NodeJS.WritableStream | null;
  /** A server listens on an endpoint that is not held. */
  readonly onUnmanaged: (message: AgentMessage & { kind: 'unmanaged' }, agent: AgentConnection) => void;
  readonly onNote: (sentence: string) => void;
  /** The command's own sd_notify messages, to be passed on. */
  readonly onNotify: (variables: ReadonlyMap<string, string>) => void;
}

/** How often the end of a process group is looked for; there is no event for it. */
const groupCheckMs = 20;
/** A program that does not answer at all is not waited for longer than this before it is asked to end. */
const stopAnswerMs = 2_000;
/** And one that was never heard to listen, such as npm, not longer than this. */
const otherAnswerMs = 300;
/** What SIGKILL needs, also under load. */
const afterKillMs = 2_000;

export class Generation {
  readonly number: number;
  readonly startedAtMs = Date.now();
  state: GenerationState = 'starting';
  readiness: Readiness | null = null;
  exit: Exit | null = null;
  counts: DrainCounts | null = null;
  /** What a Node program said before it ended: the error and its stack. */
  failure: string | null = null;
  /** Endpoints outside hold that it could not bind. */
  readonly blocked: { readonly endpoint: Endpoint; readonly code: string }[] = [];
  /** Endpoints outside hold that it listens on. */
  readonly unmanaged: { readonly message: AgentMessage & { kind: 'unmanaged' }; readonly agent: AgentConnection }[] =
    [];
  /** Processes that it had put into the background, out of the reach of its signals; ended with it. */
  runaways = 0;
  /** Where its servers take idle connections of the generation before, by the identity of the held socket. */
  readonly receivers: Record<string, string> = {};
  /** Resolves when the command's own process has ended. */
  readonly exited: Promise<Exit>;
  readonly #options: GenerationOptions;
  #retiring: Promise<{ readonly forced: boolean }> | null = null;
  /** What it is to listen on. */
  readonly sockets: HeldSocket[];
  readonly #startedMs = performance.now();
  readonly #child: ChildProcess;
  readonly #tail: Tail;
  readonly #notify: NotifySocket | null;
  readonly #kernel: KernelWatch | null;
  readonly #agents = new Set<AgentConnection>();
  readonly #serving = new Set<AgentConnection>();
  readonly #listening = new Set<string>();
  /** Who waits for answers; null stands for the end of the connection. */
  readonly #waiters = new Set<(message: AgentMessage | null, agent: AgentConnection) => void>();
  #settle: (readiness: Readiness) => void = () => {};
  readonly #ready: Promise<Readiness>;
  #readyTimer: NodeJS.Timeout | undefined;

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.sockets = [...options.sockets];
    this.number = options.number;
    this.#ready = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#notify = options.readyBy === 'auto' || options.readyBy === 'notify' ? this.#openNotify() : null;
    const passed: Omit<Passed, 'sockets' | 'copies' | 'version'> = {
      pid: process.pid,
      control: options.control.name,
      token: options.control.token,
      generation: options.number,
      readyBy: options.readyBy,
      backlog: options.backlog,
      learn: options.learn,
      handOff: options.handOff,
    };
    const how = spawning(
      options.command,
      options.sockets,
      passed,
      options.environment,
      this.#notify?.name ?? options.environment['NOTIFY_SOCKET'] ?? null,
    );
    this.#child = spawn(how.file, [...how.args], {
      cwd: options.cwd,
      env: how.environment,
      // A session of its own: the whole tree can be signalled, and the terminal's Ctrl-C reaches it once, through us.
      detached: true,
      stdio: [stdinFor(), 'inherit', options.stderr === null ? 'inherit' : 'pipe', ...how.descriptors],
    });
    this.#tail = new Tail(this.#child.stderr, options.stderr);
    if (this.#child.pid !== undefined) options.guard.watch(this.#child.pid);
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => this.#end({ code, signal }, resolve));
      this.#child.once('error', () => this.#end({ code: 126, signal: null }, resolve));
    });
    this.#kernel = this.#watchKernel();
    if (options.assumeReadyMs !== null) {
      this.#readyTimer = setTimeout(() => this.#isReady('assumed'), options.assumeReadyMs);
    }
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The last lines of stderr, without what a terminal would obey. */
  get lastLines(): readonly string[] {
    return this.#tail.lines;
  }

  /** Resolves when it is ready, has ended, was aborted, or the time is over. */
  async becomeReady(timeoutMs: number | null): Promise<Readiness> {
    if (timeoutMs === null) return this.#ready;
    const waiting = new AbortController();
    const timeout = sleep<Readiness>(timeoutMs, { ready: false, why: 'timeout' }, { signal: waiting.signal });
    try {
      return await Promise.race([this.#ready, timeout]);
    } finally {
      // Nobody waits for it any more, so nobody hears that it was aborted.
      timeout.catch(() => {});
      waiting.abort();
    }
  }

  /** Milliseconds since its start, by a clock that does not jump. */
  get lifeMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** True when processes of the command are left. */
  hasGroup(): boolean {
    return this.#child.pid !== undefined && groupExists(this.#child.pid);
  }

  /** Another socket took the place of one that it was started with. */
  replaceSocket(identity: string, socket: HeldSocket): void {
    const at = this.sockets.findIndex((one) => one.identity === identity);
    if (at >= 0) this.sockets[at] = socket;
  }

  /** A newer restart takes its place. */
  abort(): void {
    this.#settle({ ready: false, why: 'aborted' });
  }

  addAgent(agent: AgentConnection): void {
    this.#agents.add(agent);
    agent.onMessage = (message) => this.#hear(message, agent);
    agent.onClose = () => {
      this.#agents.delete(agent);
      this.#serving.delete(agent);
      for (const waiter of this.#waiters) waiter(null, agent);
    };
  }

  /**
   * Ends it without losing a connection: it accepts no more, its connections end, then the stop signal, and after the grace SIGKILL.
   * Programs without the preload get that signal at once, and drain in their own way.
   *
   * @param onStopped Called when it accepts no more, if it could be asked.
   */
  retire(
    order: Omit<DrainOrder, 'receivers'> & Partial<DrainOrder>,
    onStopped: () => void = () => {},
  ): Promise<{ readonly forced: boolean }> {
    // Asked for again while it drains: the connections have the time that they were given.
    this.#retiring ??= this.#drainAndEnd({ receivers: {}, ...order }, onStopped);
    return this.#retiring;
  }

  async #drainAndEnd(order: DrainOrder, onStopped: () => void): Promise<{ readonly forced: boolean }> {
    if (this.state === 'ended') return { forced: false };
    this.state = 'draining';
    const { graceMs } = order;
    const until = performance.now() + graceMs;
    // Also who was not heard to listen yet: it may have begun a moment ago. A wrapper that is busy is not waited for as long.
    const others = [...this.#agents].filter((agent) => !this.#serving.has(agent));
    const answered = await Promise.all([
      this.#order([...this.#serving], { kind: 'stop' }, 'stopped', Math.min(stopAnswerMs, graceMs)),
      this.#order(others, { kind: 'stop' }, 'stopped', Math.min(otherAnswerMs, graceMs)),
    ]);
    if (this.#serving.size > 0) onStopped();
    const toDrain = [...new Set([...this.#serving, ...answered.flat()])].filter((agent) => this.#agents.has(agent));
    // A little more than the grace: at its end the program resets what is left, and says so.
    await this.#order(toDrain, { kind: 'drain', ...order }, 'drained', graceMs + 250);
    return this.end(this.#options.stopSignal, Math.max(250, until - performance.now()));
  }

  /** Sends a signal to every process of the command, and SIGKILL when the time is over. Resolves when none is left. */
  async end(signal: NodeJS.Signals, graceMs: number): Promise<{ readonly forced: boolean }> {
    if (this.state !== 'ended') this.state = 'ending';
    this.signal(signal);
    const forced = !(await this.#groupEnded(graceMs));
    if (forced) {
      this.signal('SIGKILL');
      await this.#groupEnded(afterKillMs);
    }
    const startedBy = { token: this.#options.control.token, generation: this.number };
    this.runaways += (await endRunaways(this.sockets, startedBy, graceMs)).length;
    // Who has stderr open still is no part of the command any more, and must not keep hold alive.
    this.#child.stderr?.destroy();
    return { forced };
  }

  /** Sends a signal to every process of the command. */
  signal(signal: NodeJS.Signals): void {
    const group = this.#child.pid;
    if (group === undefined) return;
    try {
      process.kill(-group, signal);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // ESRCH: nobody is left. EPERM: they changed user, and we may not (kill(2)).
      if (code !== 'ESRCH' && code !== 'EPERM') throw error;
      if (code === 'EPERM')
        this.#options.onNote(
          `Not permitted to send ${signal} to the command: its processes belong to another user now`,
        );
    }
  }

  #openNotify(): NotifySocket {
    return new NotifySocket((variables) => {
      if (variables.get('READY') === '1') this.#isReady('notify');
      this.#options.onNotify(variables);
    });
  }

  #watchKernel(): KernelWatch | null {
    const { readyBy, sockets } = this.#options;
    if (readyBy !== 'auto' || sockets.length === 0 || this.#child.pid === undefined) return null;
    const { isConnected } = this.#options.control;
    return new KernelWatch(this.#child.pid, sockets, isConnected, () => this.#isReady('kernel'));
  }

  #hear(message: AgentMessage, agent: AgentConnection): void {
    if (message.kind === 'listening') {
      this.#serving.add(agent);
      this.#listening.add(message.identity);
      if (message.receiver !== null) this.receivers[message.identity] = message.receiver;
      if (message.note !== null) this.#options.onNote(message.note);
      const { readyBy } = this.#options;
      const all = this.sockets.every((socket) => this.#listening.has(socket.identity));
      if (all && (readyBy === 'auto' || readyBy === 'listening')) this.#isReady('listening');
    } else if (message.kind === 'ready') {
      this.#isReady('message');
    } else if (message.kind === 'unmanaged') {
      this.unmanaged.push({ message, agent });
      this.#serving.add(agent);
      this.#options.onUnmanaged(message, agent);
      if (this.#options.learn && this.#options.sockets.length === 0) this.#isReady('listening');
    } else if (message.kind === 'blocked') {
      this.blocked.push(message);
    }
    for (const waiter of this.#waiters) waiter(message, agent);
  }

  /** Tells these processes, and waits until each has answered or is gone. Resolves with those that answered in time. */
  #order(
    to: readonly AgentConnection[],
    order: HoldMessage,
    answer: 'stopped' | 'drained',
    timeoutMs: number,
  ): Promise<AgentConnection[]> {
    const asked = new Set(to);
    const answered: AgentConnection[] = [];
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(answered);
      };
      const waiter = (message: AgentMessage | null, agent: AgentConnection): void => {
        if (!asked.has(agent)) return;
        if (message?.kind === 'drained') this.counts = add(this.counts, message.counts);
        if (message?.kind === answer) answered.push(agent);
        if (message === null || message.kind === answer) asked.delete(agent);
        if (asked.size === 0) done();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiters.add(waiter);
      for (const agent of asked) agent.tell(order);
      if (asked.size === 0) done();
    });
  }

  #isReady(by: Evidence): void {
    if (this.readiness !== null || this.state !== 'starting') return;
    this.readiness = { ready: true, by, afterMs: performance.now() - this.#startedMs };
    this.state = 'ready';
    this.#kernel?.close();
    clearTimeout(this.#readyTimer);
    this.#settle(this.readiness);
  }

  #end(exit: Exit, resolve: (exit: Exit) => void): void {
    if (this.exit !== null) return;
    this.exit = exit;
    this.#kernel?.close();
    this.#notify?.close();
    clearTimeout(this.#readyTimer);
    this.#settle({ ready: false, why: 'exit' });
    resolve(exit);
  }

  /** True when no process of the group is left; false when the time is over. */
  async #groupEnded(withinMs: number): Promise<boolean> {
    const group = this.#child.pid;
    if (group === undefined) return this.#ended();
    const until = performance.now() + withinMs;
    for (;;) {
      if (this.exit !== null && !groupExists(group)) return this.#ended();
      const leftMs = until - performance.now();
      if (leftMs <= 0) return false;
      await Promise.race([
        sleep(Math.min(groupCheckMs, leftMs)),
        this.exit === null ? this.exited : sleep(groupCheckMs),
      ]);
    }
  }

  #ended(): true {
    this.state = 'ended';
    if (this.#child.pid !== undefined) this.#options.guard.forget(this.#child.pid);
    return true;
  }
}

/** The group is a session too. A dead process counts for kill(2) until its parent has read its status, which init may do late. */
function groupExists(group: number): boolean {
  try {
    process.kill(-group, 0);
    return os().processes.inSession(group).length > 0;
  } catch (error) {
    // EPERM: there are some, of another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function add(sum: DrainCounts | null, counts: DrainCounts): DrainCounts {
  if (sum === null) return counts;
  return {
    finished: sum.finished + counts.finished,
    idle: sum.idle + counts.idle,
    killed: sum.killed + counts.killed,
    handedOff: sum.handedOff + counts.handedOff,
  };
}
