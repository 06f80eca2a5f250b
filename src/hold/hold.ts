/**
 * The socket that outlives the program: hold opens it, runs the command on it, and keeps it while the command is
 * restarted, crashes, or is replaced by a version that does not start.
 */
import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Endpoint, formatEndpoint } from '../model/endpoint.ts';
import { type AgentConnection, Control } from './control.ts';
import { Crashes } from './crash-loop.ts';
import { endAll } from './ending.ts';
import { describeExit, type Exit, statusOf, statusOfSignal } from './exit.ts';
import { describeFailure, linesOf } from './failure.ts';
import { Generation, type Readiness } from './generation.ts';
import { Guard } from './guard.ts';
import { HeldSockets } from './held-sockets.ts';
import { Past, type PastGeneration } from './history.ts';
import { notifyManager, passOn, reloading } from './notify.ts';
import { Published } from './published.ts';
import type { HoldEvents, RestartResult, Settings } from './settings.ts';
import { describeStatus, type HoldStatus, queueOf } from './status.ts';
import { askToFinish } from './take-over.ts';
import { Watch } from './watch.ts';
import type { Ask } from './wire/messages.ts';

/** Generations that may drain at the same time; when there are more, the oldest is ended. */
const mostDraining = 4;

/** A running hold. */
export class Hold extends EventEmitter<HoldEvents> {
  /** Resolves with the exit status of the command when everything is over: no process and no socket is left. */
  readonly done: Promise<number>;
  readonly #settings: Settings;
  readonly #startedAtMs = Date.now();
  readonly #sockets: HeldSockets;
  readonly #guard = new Guard();
  readonly #draining = new Set<Generation>();
  readonly #generations = new Map<number, Generation>();
  readonly #past = new Past();
  readonly #crashes: Crashes;
  #control: Control | null = null;
  #published: Published | null = null;
  #watch: Watch | null = null;
  /** The one that serves, or is meant to. */
  #current: Generation | null = null;
  /** The one that starts beside it. */
  #next: Generation | null = null;
  #lastNumber = 0;
  #everReady = false;
  #stopping = false;
  #finished = false;
  /** Ends the wait before a crashed command is started again. */
  #waiting: AbortController | null = null;
  #finish: (status: number) => void = () => {};

  /** @internal Use `hold`. */
  constructor(settings: Settings) {
    super();
    this.#settings = settings;
    this.#sockets = new HeldSockets(settings.backlog);
    this.#crashes = new Crashes(settings.mostFailures);
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /** The endpoints that are held now. */
  get endpoints(): readonly Endpoint[] {
    return this.#sockets.list.map((socket) => socket.endpoint);
  }

  /** @internal Use `hold`. */
  async open(): Promise<void> {
    const { descriptors, endpoints, takeOver, watch, cwd } = this.#settings;
    try {
      this.#sockets.adopt(descriptors);
      for (const text of endpoints) await this.#sockets.open(text, takeOver);
      this.#control = await Control.open({
        agent: (agent) => this.#generations.get(agent.generation)?.addAgent(agent),
        give: (identity, host) => this.#give(identity, host),
        failed: (number, message) => {
          const generation = this.#generations.get(number);
          if (generation !== undefined) generation.failure = message;
        },
        ask: async (question: Ask) =>
          question.kind === 'status' ? this.status() : this.restart('asked for from another terminal'),
      });
      this.#published = new Published(this.#control, this.#note);
      const mayWait = this.#sockets.former.length > 0;
      for (const socket of this.#sockets.list) await this.#published.add(socket, mayWait);
      if (watch.length > 0) this.#watch = new Watch(watch, cwd, (path) => this.#changed(path), this.#note);
    } catch (error) {
      this.#letGo();
      throw error;
    }
    const first = this.#start('first start');
    this.#current = first;
    void this.#whenReady(first);
  }

  /**
   * Starts a new generation, and retires the old one when the new one is ready. When it does not become ready it is
   * ended, and the old one goes on. A restart that is called meanwhile takes the place of this one.
   */
  async restart(reason = 'asked for'): Promise<RestartResult> {
    if (this.#stopping) return { outcome: 'refused', generation: null, why: 'Hold is stopping' };
    return reloading(() => this.#restart(reason));
  }

  async #restart(reason: string): Promise<RestartResult> {
    this.#waiting?.abort();
    this.#next?.abort();
    const old = this.#current;
    if (old !== null && (!this.#settings.overlap || old.state === 'starting')) {
      // Without overlap the old one goes first; and one that never served is not worth waiting beside.
      this.#current = null;
      if (old.state === 'starting') {
        old.abort();
        await this.#discard(old, 'superseded', null);
      } else await this.#retire(old);
      if (this.#stopping) return { outcome: 'refused', generation: null, why: 'Hold is stopping' };
      if (this.#current !== null || this.#next !== null)
        return { outcome: 'superseded', generation: null, why: 'A newer restart took its place' };
    }
    return this.#current === null ? this.#startAlone(reason) : this.#startBeside(this.#current, reason);
  }

  /**
   * Ends the command: SIGTERM lets connections end first, any other signal is sent at once, because a person waits.
   * SIGKILL follows after the grace. `done` resolves afterwards. Called again, it ends everything now.
   */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const { graceMs } = this.#settings;
    const all = [...this.#generations.values()];
    if (this.#stopping) {
      for (const generation of all) generation.signal('SIGKILL');
      return;
    }
    this.#stopping = true;
    this.#waiting?.abort();
    this.#watch?.close();
    this.emit('stopping', { signal });
    notifyManager({ STOPPING: '1' });
    const current = this.#current;
    this.#next?.abort();
    await endAll(all, graceMs, this.#note, (one) => {
      const mayDrain = one.state === 'ready' || one.state === 'draining';
      if (signal !== 'SIGTERM' || !mayDrain) return one.end(signal, graceMs);
      return one.retire(this.#patience, () => this.#sockets.refuse());
    });
    this.#close(current === null ? statusOfSignal(signal) : statusOf(current.exit));
  }

  /** Sends a signal to every process of the command as it is, such as SIGWINCH; with SIGSTOP connections wait until SIGCONT. */
  signal(signal: NodeJS.Signals): void {
    for (const generation of this.#generations.values()) generation.signal(signal);
  }

  /** What is going on, as plain data. */
  status(): HoldStatus {
    return describeStatus({
      startedAtMs: this.#startedAtMs,
      command: this.#settings.command,
      sockets: this.#sockets.list,
      current: this.#current,
      next: this.#next,
      draining: [...this.#draining],
      past: this.#past.list,
      stopping: this.#stopping,
    });
  }

  get #patience(): { readonly graceMs: number; readonly lingerMs: number } {
    const { graceMs, lingerMs } = this.#settings;
    return { graceMs, lingerMs };
  }

  readonly #note = (sentence: string): void => void this.emit('note', { sentence });

  #changed(path: string): void {
    this.emit('changed', { path });
    void this.restart(`${path} changed`);
  }

  #start(reason: string): Generation {
    const control = this.#control;
    if (control === null) throw new Error('The control socket is not open');
    const { learn } = this.#settings;
    const generation = new Generation({
      ...this.#settings,
      number: ++this.#lastNumber,
      sockets: [...this.#sockets.list],
      control,
      guard: this.#guard,
      onUnmanaged: (message, agent) => {
        if (learn && this.#sockets.list.length === 0) this.#learn(message, agent, true);
      },
      onNote: this.#note,
      onNotify: (variables) => passOn(variables, this.#current === generation),
    });
    this.#generations.set(generation.number, generation);
    this.#watch?.started();
    this.emit('start', { generation: generation.number, pid: generation.pid ?? 0, reason });
    void generation.exited.then((exit) => this.#ended(generation, exit));
    return generation;
  }

  /** There is nobody to fall back to. */
  async #startAlone(reason: string): Promise<RestartResult> {
    const generation = this.#start(reason);
    this.#current = generation;
    const readiness = await this.#whenReady(generation);
    if (readiness.ready) return { outcome: 'done', generation: generation.number, why: null };
    const why = describeFailure(generation, readiness, this.#settings.readyTimeoutMs);
    const outcome = readiness.why === 'aborted' ? 'superseded' : 'refused';
    return { outcome, generation: generation.number, why };
  }

  /** The old one serves until the new one is ready, and goes on when it is not. */
  async #startBeside(old: Generation, reason: string): Promise<RestartResult> {
    const { readyTimeoutMs } = this.#settings;
    // What else it listens on, the newcomer would find taken.
    for (const { message, agent } of old.unmanaged) this.#learn(message, agent, false);
    const generation = this.#start(reason);
    const { number } = generation;
    this.#next = generation;
    const readiness = await generation.becomeReady(readyTimeoutMs);
    if (this.#next === generation) this.#next = null;
    if (readiness.ready && !this.#stopping) {
      // Not `old`: that one may have crashed meanwhile.
      const retiring = this.#current;
      this.#current = generation;
      this.#served(generation, readiness);
      if (retiring !== null) void this.#retire(retiring);
      return { outcome: 'done', generation: number, why: null };
    }
    const refused = readiness.ready ? ({ ready: false, why: 'aborted' } as const) : readiness;
    const why = describeFailure(generation, refused, readyTimeoutMs);
    const outcome = refused.why === 'aborted' ? 'superseded' : 'refused';
    if (outcome === 'refused')
      this.emit('refused', {
        generation: number,
        why,
        lastLines: linesOf(generation),
        serving: this.#current?.number ?? null,
      });
    await this.#discard(generation, outcome, why);
    // The old one crashed while this one was expected to take over.
    if (this.#current === null && this.#next === null && !this.#stopping) await this.#startAgain();
    return { outcome, generation: number, why };
  }

  async #whenReady(generation: Generation): Promise<Readiness> {
    const { readyTimeoutMs } = this.#settings;
    const readiness = await generation.becomeReady(readyTimeoutMs);
    if (readiness.ready) this.#served(generation, readiness);
    else if (readiness.why === 'timeout' && this.#current === generation) {
      const waiting = this.#sockets.list.reduce((sum, socket) => sum + (queueOf(socket)?.waiting ?? 0), 0);
      const sentence = describeFailure(generation, readiness, readyTimeoutMs);
      // It may only be slow, and there is no other: what comes later still counts.
      this.#note(`${sentence}. Connections wait in the queue: ${waiting} now`);
      void generation.becomeReady(null).then((late) => {
        if (late.ready && this.#current === generation) this.#served(generation, late);
      });
    }
    return readiness;
  }

  #served(generation: Generation, readiness: Readiness & { ready: true }): void {
    this.#everReady = true;
    const { number, pid } = generation;
    this.emit('ready', { generation: number, pid: pid ?? 0, afterMs: readiness.afterMs, by: readiness.by });
    notifyManager({ READY: '1', STATUS: `Generation ${number} serves` });
    const former = this.#sockets.former.splice(0);
    if (former.length > 0) void this.#thankFormer(former);
  }

  async #thankFormer(former: Parameters<typeof askToFinish>[0]): Promise<void> {
    const left = await askToFinish(former, this.#settings.graceMs, this.#settings.stopSignal);
    if (!this.#finished) await this.#published?.addLater();
    for (const { pid } of former) this.emit('tookOver', { pid, ended: !left.some((one) => one.pid === pid) });
  }

  /** Ends a generation that never became ready. It may serve all the same: on one of two endpoints, or since a moment ago. */
  async #discard(generation: Generation, outcome: PastGeneration['outcome'], why: string | null): Promise<void> {
    await generation.retire(this.#patience);
    this.#remember(generation, outcome, why);
  }

  async #retire(old: Generation): Promise<void> {
    this.#draining.add(old);
    const [oldest] = this.#draining;
    if (this.#draining.size > mostDraining) oldest?.signal('SIGKILL');
    this.emit('draining', { generation: old.number });
    const receivers = this.#current?.receivers ?? {};
    const { forced } = await old.retire({ ...this.#patience, receivers });
    this.#draining.delete(old);
    this.#remember(old, forced ? 'killed' : 'retired', null);
    this.emit('retired', { generation: old.number, counts: old.counts, forced });
  }

  /** A command's own process ended. Only that of the serving generation asks for a decision. */
  #ended(generation: Generation, exit: Exit): void {
    const isExpected = generation.state === 'draining' || generation.state === 'ending' || generation.state === 'ended';
    if (generation !== this.#current || this.#stopping || isExpected) return;
    this.#current = null;
    void this.#afterExit(generation, exit);
  }

  async #afterExit(generation: Generation, exit: Exit): Promise<void> {
    const { readiness } = generation;
    const served = readiness?.ready === true;
    this.#crashes.add(served ? generation.lifeMs - readiness.afterMs : 0);
    // What it left behind, or put into the background, must not keep serving beside its successor.
    const hadGroup = generation.hasGroup();
    const cleaning = generation.retire(this.#patience);
    const watching = this.#watch !== null;
    const isDone = !watching && (exit.code === 0 || !this.#everReady);
    const givesUp = watching ? exit.code === 0 || !served : this.#crashes.isLoop;
    // Also when all is over: nothing else would say that it never served.
    if (!isDone || !served) {
      const againInMs = isDone || givesUp ? null : this.#next === null ? this.#crashes.againInMs : 0;
      this.emit('crash', { generation: generation.number, exit, lastLines: linesOf(generation), againInMs });
    }
    await cleaning;
    const left = hadGroup || generation.runaways > 0;
    const why = describeExit(exit) + (left ? ' and left processes running, which were ended' : '');
    if (left && exit.code === 0) this.#note('The command went to the background: hold must keep it in the foreground');
    this.#remember(generation, exit.code === 0 ? 'finished' : 'crashed', why);
    if (this.#stopping || this.#finished || this.#current !== null || this.#next !== null) return;
    // A port that hangs is worse than one that refuses: without an edit to wait for, let go.
    if (isDone || (givesUp && !watching)) this.#close(statusOf(exit));
    else if (!givesUp) await this.#startAgain();
  }

  async #startAgain(): Promise<void> {
    const waiting = new AbortController();
    this.#waiting = waiting;
    await sleep(this.#crashes.againInMs, undefined, { signal: waiting.signal }).catch(() => {});
    if (waiting.signal.aborted || this.#stopping || this.#current !== null || this.#next !== null) return;
    this.#waiting = null;
    await this.#startAlone('crash');
  }

  #learn(message: Parameters<HeldSockets['learn']>[0], agent: AgentConnection, isMain: boolean): void {
    if (this.#sockets.has(message.identity)) return;
    const learned = this.#sockets.learn(message, agent.pid);
    if (typeof learned !== 'string') {
      this.emit('learned', { endpoint: learned.endpoint });
      void this.#published?.add(learned);
    } else if (isMain) {
      const where = formatEndpoint(message.endpoint);
      this.#note(`Cannot learn ${where} from process ${agent.pid} (${learned}): name the endpoint`);
    }
  }

  async #give(identity: string, host: string | null): ReturnType<HeldSockets['give']> {
    const given = await this.#sockets.give(identity, host, !this.#everReady);
    if (given.narrowed !== null) {
      for (const generation of this.#generations.values()) generation.replaceSocket(identity, given.narrowed);
      await this.#published?.add(given.narrowed);
      const where = formatEndpoint(given.narrowed.endpoint);
      this.#note(`The program asked for ${host}, so ${where} is what is held`);
    }
    return given;
  }

  #remember(generation: Generation, outcome: PastGeneration['outcome'], why: string | null): void {
    this.#generations.delete(generation.number);
    this.#past.add(generation, outcome, why);
  }

  #letGo(): void {
    this.#control?.close();
    this.#watch?.close();
    this.#sockets.letGo();
    this.#guard.close();
  }

  #close(status: number): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#stopping = true;
    void this.#endAll().then(() => {
      this.#letGo();
      this.emit('end', { status });
      this.#finish(status);
    });
  }

  /** What still drains when the command is done. */
  async #endAll(): Promise<void> {
    const { graceMs, stopSignal } = this.#settings;
    const all = [...this.#generations.values()];
    await endAll(all, graceMs, this.#note, (one) => one.end(stopSignal, graceMs));
  }
}
