/**
 * One run of the command: from its start, through being ready, to the end of its last connection and process.
 */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoint } from '../model/endpoint.ts';
import { os } from '../os/index.ts';
import { Agents } from './agents.ts';
import { CommandSession } from './command-session.ts';
import type { AgentConnection } from './control.ts';
import { type Exit, isOfSignal } from './exit.ts';
import type { Faults } from './faults.ts';
import type { Guard } from './guard.ts';
import type { HeldSocket } from './held-socket.ts';
import { type LastLines, passThrough, readBack } from './last-lines.ts';
import { NotifySocket } from './notify.ts';
import { type Evidence, KernelWatch } from './ready.ts';
import { endRunaways } from './runaways.ts';
import type { StopSignal } from './settings.ts';
import { type CommandOptions, type Started, spawnCommand } from './spawn.ts';
import type { AgentMessage, DrainCounts, DrainOrder } from './wire/messages.ts';
import type { ReadyBy } from './wire/passed.ts';

export type GenerationState = 'starting' | 'ready' | 'draining' | 'ending' | 'ended';

/** Whether a start succeeded. */
export type Readiness =
  | { readonly ready: true; readonly by: Evidence; readonly afterMs: number }
  | { readonly ready: false; readonly why: 'exit' | 'timeout' };

export interface GenerationOptions extends CommandOptions {
  readonly control: CommandOptions['control'] & {
    /** True when this process has the preload, whether it was heard already or not. */
    readonly isConnected: (pid: number) => boolean;
  };
  readonly guard: Guard;
  readonly faults: Faults;
  readonly readyBy: ReadyBy;
  /** After this time a process that lives counts as ready; null asks for evidence. */
  readonly assumeReadyMs: number | null;
  readonly stopSignal: StopSignal;
  /** A server listens on an endpoint that is not held. */
  readonly onUnmanaged: (message: AgentMessage & { kind: 'unmanaged' }, agent: AgentConnection) => void;
  readonly onNote: (sentence: string) => void;
  /** The command's own sd_notify messages, to be passed on. */
  readonly onNotify: (variables: ReadonlyMap<string, string>) => void;
}

/** Endpoints outside hold that are remembered, of a program that listens on one port after the other. */
const mostRemembered = 256;
/** What SIGKILL needs, also under load. */
const afterKillMs = 2_000;

export class Generation {
  readonly number: number;
  readonly startedAtMs = Date.now();
  state: GenerationState = 'starting';
  readiness: Readiness | null = null;
  exit: Exit | null = null;
  /** Why the system did not let it start; null when it did. */
  startError: Error | null = null;
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
  #servedExit: Exit | null = null;
  #retiring: Promise<{ readonly forced: boolean }> | null = null;
  /** What it is to listen on. */
  readonly sockets: HeldSocket[];
  readonly #startedMs = performance.now();
  readonly #child: ChildProcess;
  readonly #session: CommandSession;
  readonly #lastLines: LastLines;
  readonly #notify: NotifySocket | null;
  readonly #kernel: KernelWatch | null;
  readonly #agents = new Agents();
  readonly #listening = new Set<string>();
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
    // Where the log ends before the command can write to it.
    const fromLog = options.stderr === null ? readBack() : null;
    let started: Started;
    try {
      started = spawnCommand(options, this.#notify?.name ?? null);
    } catch (error) {
      this.#notify?.close();
      throw error;
    }
    this.#child = started.child;
    // First of all: a child that could not be started says so by an event, which without a listener is thrown.
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => this.#end({ code, signal }, resolve));
      this.#child.once('error', (error) => {
        this.startError = error;
        this.#end({ code: 126, signal: null }, resolve);
      });
    });
    this.#lastLines = fromLog ?? passThrough(started.stderr, options.stderr);
    this.#session = new CommandSession(started, options.guard, options.faults, options.onNote);
    this.#kernel = this.#watchKernel();
    if (options.assumeReadyMs !== null) {
      this.#readyTimer = setTimeout(() => this.#isReady('assumed'), options.assumeReadyMs);
    }
  }

  /** How its connections ended; null while it has not said. */
  get counts(): DrainCounts | null {
    return this.#agents.counts;
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** The last lines of stderr, without what a terminal would obey. */
  get lastLines(): readonly string[] {
    return this.#lastLines.lines;
  }

  /** Resolves when it is ready, has ended, or the time is over. */
  async becomeReady(timeoutMs: number | null): Promise<Readiness> {
    if (timeoutMs === null) return this.#ready;
    const waiting = new AbortController();
    const timeout = sleep<Readiness>(timeoutMs, { ready: false, why: 'timeout' }, { signal: waiting.signal });
    try {
      return await Promise.race([this.#ready, timeout]);
    } finally {
      // Nobody waits for it any more.
      timeout.catch(() => {});
      waiting.abort();
    }
  }

  /** Milliseconds since its start, by a clock that does not jump. */
  get lifeMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** True when processes of the command are there. */
  hasLeft(): boolean {
    return this.#session.hasLeft();
  }

  /** By the kernel's word: its command, or below it, or in its session. */
  isProgram(pid: number): boolean {
    return os().channels.isWithin(pid, this.#child.pid ?? -1);
  }

  /**
   * True when another process of it than this one serves on the socket, or may: what shows that it is ready without a server that was heard says
   * nothing of which process serves.
   */
  serves(identity: string, besides: number): boolean {
    const isReadyOtherwise = this.readiness?.ready === true && this.readiness.by !== 'listening';
    return isReadyOtherwise || this.#agents.isServed(identity, besides);
  }

  /** Another socket took the place of one that it was started with. */
  replaceSocket(identity: string, socket: HeldSocket): void {
    const at = this.sockets.findIndex((one) => one.identity === identity);
    if (at >= 0) this.sockets[at] = socket;
  }

  /** True for a process that served and that a wrapper, such as npm, started: not a child that Node waits for. */
  served(pid: number): boolean {
    return pid !== this.#child.pid && this.#agents.served.has(pid);
  }

  /** A process that served below a wrapper has exited, too. */
  servedExited(exit: Exit): void {
    this.#servedExit = exit;
  }

  /** The exit that stands for all of it: where a wrapper died of a signal and did not wait for the server, that of the server. */
  get wholeExit(): Exit | null {
    return this.#servedExit !== null && this.exit !== null && isOfSignal(this.exit) ? this.#servedExit : this.exit;
  }

  /** The program said why it ends. */
  failed(message: string): void {
    this.failure = message;
  }

  addAgent(agent: AgentConnection): void {
    this.#agents.add(agent, (message) => this.#hear(message, agent));
  }

  /** It goes on accepting, and its answers say that it is going. */
  sayFarewell(times: Pick<DrainOrder, 'graceMs' | 'lingerMs'>): void {
    this.#agents.sayFarewell(times);
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
    await this.#agents.drain(order, onStopped);
    return this.end(this.#options.stopSignal, Math.max(250, until - performance.now()));
  }

  /** Sends a signal to every process of the command, and SIGKILL when the time is over. Resolves when none is left. */
  async end(signal: NodeJS.Signals, graceMs: number): Promise<{ readonly forced: boolean }> {
    if (this.state !== 'ended') this.state = 'ending';
    // What could not be signalled now is killed when the time is over.
    const send = (which: NodeJS.Signals) => this.#options.faults.guard(`Sending ${which}`, () => this.signal(which));
    send(signal);
    const forced = !(await this.#allEnded(graceMs));
    if (forced) {
      send('SIGKILL');
      await this.#allEnded(afterKillMs);
    }
    const startedBy = { token: this.#options.control.token, generation: this.number };
    const ended = endRunaways(this.sockets, startedBy, graceMs);
    const runaways = await this.#options.faults.settle('Ending what left the session of the command', ended);
    this.runaways += runaways?.length ?? 0;
    await this.#session.lastWords();
    return { forced };
  }

  /** Sends a signal to every process of the command. */
  signal(signal: NodeJS.Signals): void {
    this.#session.signal(signal);
  }

  /** True when no process of the command is left; false when the time is over. */
  async #allEnded(withinMs: number): Promise<boolean> {
    const leader = { exited: this.exited, isOver: () => this.exit !== null };
    if (!(await this.#session.ended(leader, withinMs))) return false;
    this.state = 'ended';
    this.#session.close();
    return true;
  }

  #openNotify(): NotifySocket {
    return new NotifySocket(this, (variables) => {
      if (variables.get('READY') === '1') this.#isReady('notify');
      this.#options.faults.guard('Telling the service manager', () => this.#options.onNotify(variables));
    });
  }

  #watchKernel(): KernelWatch | null {
    const { readyBy, sockets } = this.#options;
    if (readyBy !== 'auto' || sockets.length === 0 || this.#child.pid === undefined) return null;
    const { isConnected } = this.#options.control;
    const { faults } = this.#options;
    return new KernelWatch(this.#child.pid, sockets, isConnected, faults, () => this.#isReady('kernel'));
  }

  #hear(message: AgentMessage, agent: AgentConnection): void {
    if (message.kind === 'listening') {
      this.#agents.serves(agent, message.identity);
      this.#listening.add(message.identity);
      if (message.receiver !== null) this.receivers[message.identity] = message.receiver;
      if (message.note !== null) this.#options.onNote(message.note);
      const { readyBy } = this.#options;
      const all = this.sockets.every((socket) => this.#listening.has(socket.identity));
      if (all && (readyBy === 'auto' || readyBy === 'listening')) this.#isReady('listening');
    } else if (message.kind === 'ready') {
      this.#isReady('message');
    } else if (message.kind === 'unmanaged') {
      if (this.unmanaged.length < mostRemembered) this.unmanaged.push({ message, agent });
      this.#agents.serves(agent, message.identity);
      this.#options.onUnmanaged(message, agent);
      if (this.#options.learn && this.#options.sockets.length === 0) this.#isReady('listening');
    } else if (message.kind === 'blocked') {
      if (this.blocked.length < mostRemembered) this.blocked.push(message);
    }
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
    this.#options.faults.guard('Looking at what the command left', () => this.#session.leaderReaped());
    this.#kernel?.close();
    this.#notify?.close();
    clearTimeout(this.#readyTimer);
    this.#settle({ ready: false, why: 'exit' });
    resolve(exit);
  }
}
