/**
 * The socket that outlives the program: hold opens it, runs the command on it, and keeps it while the command is
 * restarted, crashes, or is replaced by a version that does not start. What is decided stands in machine.ts.
 */
import { EventEmitter } from 'node:events';
import type { Endpoint } from '../model/endpoint.ts';
import type { ProcessIdentity } from '../model/facts.ts';
import { learnedLameDuckMs } from '../server/probes.ts';
import type { Unready } from '../server/unready.ts';
import { Control } from './control.ts';
import { ControlNames } from './control-names.ts';
import { Decisions } from './decisions.ts';
import { statusOf, statusOfSignal } from './exit.ts';
import { FailureReports } from './failure-reports.ts';
import { Faults } from './faults.ts';
import { askFormer } from './former-holders.ts';
import { Generation } from './generation.ts';
import { GenerationEnd } from './generation-end.ts';
import { Generations } from './generations.ts';
import { Guard } from './guard.ts';
import { type HoldHealth, openHealth } from './health.ts';
import { HeldSockets } from './held-sockets.ts';
import { Past } from './history.ts';
import { Lease } from './lease.ts';
import type { Order } from './machine.ts';
import { notifyManager, passOn } from './notify.ts';
import { Reaper } from './reaper.ts';
import type { HoldEvents, RestartResult, Settings } from './settings.ts';
import { SocketChanges } from './socket-changes.ts';
import { describeStatus, type HoldStatus } from './status.ts';
import { Watch } from './watch.ts';

/** A running hold. */
export class Hold extends EventEmitter<HoldEvents> {
  /** Resolves with the exit status of the command when everything is over: no process and no socket is left. */
  readonly done: Promise<number>;
  readonly #settings: Settings;
  readonly #startedAtMs = Date.now();
  readonly #sockets: HeldSockets;
  readonly #guard = new Guard();
  readonly #generations: Generations;
  readonly #past = new Past();
  readonly #faults: Faults;
  readonly #failures: FailureReports;
  readonly #leaving: GenerationEnd;
  readonly #reaper: Reaper;
  readonly #decisions: Decisions;
  #control: Control | null = null;
  #names: ControlNames | null = null;
  #watch: Watch | null = null;
  #lastTicket = 0;
  readonly #tickets = new Map<number, (result: RestartResult) => void>();
  /** The wait before a crashed command is started again. */
  #pause: NodeJS.Timeout | undefined;
  #lameDuck: NodeJS.Timeout | undefined;
  readonly #lease: Lease;
  readonly #changes: SocketChanges;
  /** What orchestrators are told; null where nobody may ask. */
  #health: HoldHealth | null = null;
  /** What the exit status of everything is. */
  #status: () => number = () => 126;
  #finish: (status: number) => void = () => {};

  /** @internal Use `hold`. */
  constructor(settings: Settings) {
    super();
    this.#settings = settings;
    this.#sockets = new HeldSockets(settings.backlog);
    this.#faults = new Faults(this.#note);
    const { overlap, watch, mostFailures, lameDuckMs } = settings;
    const rules = { overlap, watching: watch.length > 0, mostFailures, lameDuck: lameDuckMs !== 0 };
    this.#decisions = new Decisions(rules, (order) => this.#carryOut(order));
    this.#leaving = new GenerationEnd(settings, this.#past, {
      draining: (event) => this.#tell('draining', event),
      retired: (event) => this.#tell('retired', event),
      note: this.#note,
      stopped: () => this.#sockets.refuse(),
    });
    this.#generations = new Generations({
      readyTimeoutMs: settings.readyTimeoutMs,
      faults: this.#faults,
      make: (number) => this.#make(number),
      couldNotStart: (number, error) => this.#failures.couldNotStart(number, error),
      gone: (number) => this.#failures.forget(number),
      happened: (event) => this.#decisions.happened(event),
    });
    this.#failures = new FailureReports({
      settings,
      generation: (number) => this.#generations.live.get(number),
      sockets: () => this.#sockets.list,
      tell: (name, event) => this.#tell(name, event),
      note: this.#note,
    });
    this.#lease = new Lease(settings.lease, (event) => this.#tell('leased', event));
    this.#changes = new SocketChanges({
      sockets: this.#sockets,
      generations: this.#generations.live,
      added: (socket) => this.#names?.add(socket),
      learned: (event) => this.#tell('learned', event),
      note: this.#note,
    });
    this.#reaper = new Reaper(this.#faults, this.#guard, this.#generations.live);
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  /** The endpoints that are held now. */
  get endpoints(): readonly Endpoint[] {
    return this.#sockets.list.map((socket) => socket.endpoint);
  }

  /** The port that was chosen where 0 was asked for, which the command gets as PORT; else null. */
  get port(): number | null {
    const [first] = this.#settings.lease ? this.#sockets.list : this.#sockets.chosen;
    return first === undefined || first.endpoint.protocol === 'unix' ? null : first.endpoint.port;
  }

  /** Where `/livez` and `/readyz` are answered, or null. */
  get healthPort(): number | null {
    return this.#health?.healthPort ?? null;
  }

  /** Where `/metrics` is answered, or null. */
  get metricsPort(): number | null {
    return this.#health?.metricsPort ?? null;
  }

  /** @internal Use `hold`. */
  async open(): Promise<void> {
    const { descriptors, endpoints, takeOver, yes, watch, cwd, remarks } = this.#settings;
    try {
      this.#sockets.adopt(descriptors);
      await this.#sockets.open(endpoints, takeOver, yes);
      this.#control = await Control.open({
        generations: this.#generations.live,
        agent: (agent) => this.#generations.live.get(agent.generation)?.addAgent(agent),
        give: (identity, address) => this.#changes.give(identity, address, !this.#decisions.state.everServed),
        find: (asked, uid) => this.#sockets.find(asked, uid),
        lease: (asked) => this.#lease.portFor(asked, this.#sockets.list[0]?.endpoint),
        // A process that knows only the bare port, of which an address is served meanwhile, is not told no.
        serves: (number, identity, besides) =>
          this.#sockets.wasReplaced(identity) ||
          this.#generations.live.get(number)?.serves(identity, besides) !== false,
        failed: (number, message) => this.#generations.live.get(number)?.failed(message),
        hold: this,
        settings: this.#settings,
      });
      this.#names = new ControlNames(this.#control, this.#note);
      for (const socket of this.#sockets.list) this.#names.add(socket, this.#sockets.former.length > 0);
      this.#health = await openHealth(this.#settings, this.#sockets, this, () => this.#readiness());
      if (watch.length > 0)
        this.#watch = new Watch(watch, cwd, this.#faults, this.#changed, this.#note, this.#generations.live);
    } catch (error) {
      this.#letGo();
      throw error;
    }
    const { port } = this;
    const chosen = port === null ? [] : [`The command gets the port as PORT=${port}`];
    const asked = this.healthPort === null ? [] : [`/livez and /readyz are answered on port ${this.healthPort}`];
    for (const remark of [...remarks, ...this.#sockets.remarks, ...chosen, ...asked]) this.#note(remark);
    this.#decisions.happened({ kind: 'restart', ticket: null, reason: 'first start' });
  }

  /**
   * Starts a new generation, and retires the old one when the new one is ready. When it does not become ready it is
   * ended, and the old one goes on. A restart that is called meanwhile takes the place of this one.
   */
  async restart(reason = 'asked for'): Promise<RestartResult> {
    const isOver = this.#decisions.isStopping;
    // Type=notify-reload in systemd.service(5): a reload begins, and is over.
    if (!isOver) this.#tellManager({ RELOADING: '1', MONOTONIC_USEC: String(process.hrtime.bigint() / 1000n) });
    const ticket = ++this.#lastTicket;
    const result = await new Promise<RestartResult>((resolve) => {
      this.#tickets.set(ticket, resolve);
      this.#decisions.happened({ kind: 'restart', ticket, reason });
    });
    // One that serves has said READY=1 itself; after a refused one the old generation goes on.
    if (result.outcome === 'refused' && !isOver) this.#tellManager({ READY: '1', STATUS: result.why ?? '' });
    return result;
  }

  /**
   * Ends the command: SIGTERM lets connections end first, any other signal is sent at once, because a person waits.
   * SIGKILL follows after the grace. `done` resolves afterwards. Called again, it ends everything now.
   */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const current = this.#current;
    const isSecond = this.#decisions.isStopping;
    if (!isSecond) {
      this.#status = () => (current === undefined ? statusOfSignal(signal) : statusOf(current.wholeExit));
      this.#watch?.close();
      this.#tell('stopping', { signal });
      this.#tellManager({ STOPPING: '1' });
    }
    this.#decisions.happened({ kind: 'stop', signal });
    if (!isSecond) await this.done;
  }

  /** Sends a signal to every process of the command as it is, such as SIGWINCH; with SIGSTOP connections wait until SIGCONT. */
  signal(signal: NodeJS.Signals): void {
    for (const generation of this.#generations.live.values())
      this.#faults.guard(`Sending ${signal}`, () => generation.signal(signal));
  }

  /** What is going on, as plain data. */
  status(): HoldStatus {
    const live = (number: number): Generation | null => this.#generations.live.get(number) ?? null;
    return describeStatus({
      startedAtMs: this.#startedAtMs,
      command: this.#settings.command,
      sockets: this.#sockets.list,
      current: live(this.#decisions.current),
      next: live(this.#decisions.next),
      draining: this.#decisions.state.draining.map(live).filter((one) => one !== null),
      past: this.#past.list,
      stopping: this.#decisions.isStopping,
      faults: this.#faults.list,
    });
  }

  /** @internal Takes in every orphan below this process. For a process that starts no child but those of hold. */
  adoptOrphans(): void {
    this.#reaper.start();
  }

  /** @internal Whatever fails around hold, such as its log. */
  fault(what: string, error: unknown): void {
    this.#faults.add(what, error);
  }

  get #current(): Generation | undefined {
    return this.#generations.live.get(this.#decisions.current);
  }

  /** Before hold is open nobody can listen: what is said then is told as soon as somebody can. */
  readonly #note = (sentence: string): void => {
    if (this.#decisions.state.now.kind === 'new') setImmediate(() => this.#tell('note', { sentence }));
    else this.#tell('note', { sentence });
  };

  /** What a listener throws is the listener's fault, and must not come between a decision and what follows from it. */
  #tell<Name extends keyof HoldEvents>(name: Name, event: HoldEvents[Name][0]): void {
    try {
      (this as EventEmitter).emit(name, event);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #tellManager(variables: Readonly<Record<string, string>>): void {
    this.#faults.guard('Telling the service manager', () => notifyManager(variables));
  }

  readonly #changed = (path: string): void => {
    this.#tell('changed', { path });
    void this.restart(`${path} changed`);
  };

  #carryOut(order: Order): void {
    const handler = this.#orders[order.order] as (one: Order) => void;
    this.#faults.guard(`The order to ${order.order}`, () => handler(order));
  }

  /** How each order is carried out. None of them waits: what comes of it is an event. */
  readonly #orders: { readonly [O in Order as O['order']]: (order: O) => void } = {
    start: ({ number, reason }) => this.#start(number, reason),
    drain: ({ number }) =>
      this.#generations.leave(number, (old) => this.#leaving.drain(old, this.#current?.receivers ?? {})),
    discard: ({ number, as }) =>
      this.#generations.leave(number, (one) =>
        this.#leaving.discard(one, as, as === 'refused' ? this.#failures.why(number, 'late') : null),
      ),
    clean: ({ number }) =>
      this.#generations.leave(number, (one) => {
        this.#status = () => statusOf(one.wholeExit);
        return this.#leaving.clean(one);
      }),
    kill: ({ number }) => this.#generations.live.get(number)?.signal('SIGKILL'),
    'kill-all': () => this.signal('SIGKILL'),
    'say-farewell': () => this.#sayFarewell(),
    'end-all': ({ signal }) => {
      clearTimeout(this.#lameDuck);
      const ending = this.#leaving.endAll([...this.#generations.live.values()], signal);
      void this.#faults.settle('Ending the command', ending).then(() => this.#decisions.happened({ kind: 'all-gone' }));
    },
    pause: ({ ms }) => {
      this.#pause = setTimeout(() => this.#decisions.happened({ kind: 'pause-over' }), ms);
    },
    'cancel-pause': () => clearTimeout(this.#pause),
    answer: ({ ticket, outcome, number, because }) => {
      const why = this.#failures.answer(number, because);
      const resolve = this.#tickets.get(ticket);
      this.#tickets.delete(ticket);
      // The caller may rely on it that a refused process has exited.
      void this.#generations.left(number ?? 0).then(() => resolve?.({ outcome, generation: number, why }));
    },
    'tell-ready': ({ number }) => this.#served(number),
    'tell-late': ({ number }) => this.#failures.late(number),
    'tell-refused': ({ number, because, serving }) => this.#failures.refused(number, because, serving),
    'tell-crash': ({ number, againInMs }) => this.#failures.crashed(number, againInMs),
    'let-go': () => this.#over(),
  };

  /** Nobody knows how long a program that drains in its own way needs; those who ask are waited for. */
  #sayFarewell(): void {
    const { lameDuckMs, graceMs, lingerMs } = this.#settings;
    const forMs = lameDuckMs === 'auto' ? learnedLameDuckMs(this.#sockets) : lameDuckMs;
    this.#current?.sayFarewell({ graceMs, lingerMs });
    if (forMs > 0) this.#tell('leaving', { generation: this.#decisions.current, forMs });
    this.#lameDuck = setTimeout(() => this.#decisions.happened({ kind: 'lame-duck-over' }), forMs);
  }

  /** Why clients are not to be sent here. */
  #readiness(): Unready | null {
    if (this.#decisions.isStopping) return { closing: true, reason: 'closing' };
    return this.#current?.state === 'ready' ? null : { closing: false, reason: 'no generation is ready' };
  }

  #start(number: number, reason: string): void {
    // What else the old one listens on, the next one would find taken.
    const old = this.#decisions.next === number ? this.#current : undefined;
    for (const { message, agent } of old?.unmanaged ?? []) this.#changes.learn(message, agent, false);
    this.#watch?.started();
    const generation = this.#generations.start(number);
    if (generation?.pid !== undefined) this.#tell('start', { generation: number, pid: generation.pid, reason });
  }

  #make(number: number): Generation {
    const control = this.#control;
    if (control === null) throw new Error('The control socket is not open');
    const { learn, environment } = this.#settings;
    const { port } = this;
    return new Generation({
      ...this.#settings,
      environment: port === null ? environment : { ...environment, PORT: String(port) },
      number,
      sockets: [...this.#sockets.list],
      control,
      guard: this.#guard,
      faults: this.#faults,
      onUnmanaged: (message, agent) => {
        if (learn && this.#sockets.list.length === 0) this.#changes.learn(message, agent, true);
      },
      onNote: this.#note,
      onNotify: (variables) => passOn(variables, this.#decisions.current === number),
    });
  }

  #served(number: number): void {
    const { readiness, pid = 0 } = this.#generations.live.get(number) ?? {};
    if (readiness?.ready !== true) return;
    this.#watch?.started();
    this.#tell('ready', { generation: number, pid, afterMs: readiness.afterMs, by: readiness.by });
    this.#tellManager({ READY: '1', STATUS: `Generation ${number} serves` });
    const former = this.#sockets.former.splice(0);
    if (former.length > 0) void this.#faults.settle('Asking the former holders to finish', this.#thankFormer(former));
  }

  async #thankFormer(former: readonly ProcessIdentity[]): Promise<void> {
    const left = await askFormer(former, this.#sockets.list, this.#settings, this.#note);
    if (this.#decisions.state.now.kind !== 'over') this.#names?.addLater();
    for (const { pid } of former) this.#tell('tookOver', { pid, ended: !left.some((one) => one.pid === pid) });
  }

  #letGo(): void {
    this.#health?.close();
    this.#control?.close();
    this.#watch?.close();
    this.#sockets.letGo();
    this.#guard.close();
    this.#reaper.close();
  }

  #over(): void {
    this.#reaper.look();
    const status = this.#status();
    this.#faults.guard('Letting go', () => this.#letGo());
    this.#tell('end', { status });
    this.#finish(status);
  }
}
