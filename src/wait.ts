/**
 * Waits until an endpoint can be bound, or until somebody listens on it. Sleeps on what the kernel tells; never connects.
 */
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isBindable } from './act/bindable.ts';
import { causes } from './causes/index.ts';
import type { BindOptions, Endpoint, Request } from './model/endpoint.ts';
import type { Address, Facts, Gap, Holder, Socket } from './model/facts.ts';
import { answer } from './model/judge.ts';
import { checkOptions as checkNames } from './model/options.ts';
import { listenersOn } from './model/reach.ts';
import type { Finding, Question } from './model/verdict.ts';
import { isNativeError, isSystemError } from './os/errors.ts';
import { os as thisOs } from './os/index.ts';
import type { EventRequest, EventResult, Os, ProcessHandle } from './os/os.ts';
import {
  bindOptionNames,
  checkOptions,
  look,
  readEndpoint,
  resolveRequest,
  type WhyEndpoint,
  type WhyOptions,
} from './why.ts';

/** What to wait for, and how long. */
export interface WaitOptions extends Omit<WhyOptions, 'holders'> {
  /** `free`: the planned bind would succeed. `open`: somebody listens there. @default 'free' */
  readonly for?: 'free' | 'open';
  /** With `open`: the listener must belong to this process or one that it started, so that a stale server does not pass for the new one. */
  readonly pid?: number;
  /** @default waits for ever */
  readonly timeoutMs?: number;
  /** Told when it is clear what is waited for, and when that changes. */
  readonly onProgress?: (progress: WaitProgress) => void;
}

/** What `wait` waits for now. */
export interface WaitProgress {
  readonly elapsedMs: number;
  /** What bind reports now, such as `EADDRINUSE`; null with `open`. */
  readonly errno: string | null;
  /** Why it is not free yet; null with `open`. */
  readonly verdict: Finding | null;
  /** When the kernel will have forgotten the last leftover, if that is all that blocks; null when nobody knows. */
  readonly expiresInMs: number | null;
}

/** Why a wait ended without what it waited for. */
export type WaitFailure =
  | 'timeout'
  /** The process of `pid` is gone, so that it will never listen. */
  | 'process-ended'
  /** In time, somebody listened, but not the process of `pid`, or it could not be seen who. */
  | 'other-process';

/** Who listens, as `wait` reports it. */
export interface Listener {
  readonly pid: number;
  readonly command: string;
  readonly argv: readonly string[];
}

/** The answer of `wait`. */
export interface WaitReport {
  readonly endpoint: Endpoint;
  readonly options: BindOptions;
  readonly for: 'free' | 'open';
  /** True when it is what it was waited for. */
  readonly done: boolean;
  readonly failure: WaitFailure | null;
  /** With `open`: who listens, as far as that can be seen. */
  readonly listeners: readonly Listener[];
  /** With `open`: where they listen, the path of a Unix socket with port 0. Also those whose process cannot be seen. */
  readonly addresses: readonly Address[];
  /** With `free`: why it is still blocked. With `open`: who has bound it and does not listen. Else null. */
  readonly verdict: Finding | null;
  readonly gaps: readonly Gap[];
  readonly elapsedMs: number;
}

/** How often the table of sockets is compared, for the few changes that the kernel tells nobody: the end of a TIME_WAIT, a listener that stops listening. */
const compareEveryMs = 2_000;
/** The same where the kernel tells nothing at all. */
const withoutEventsMs = 100;
/** The kernel's timer wheel is coarse: what ends in a minute may end 4 s later (kernel/time/timer.c, level 4). Until then it is looked for this often. */
const [latestMs, overdueEveryMs] = [5_000, 50];
/** A server that closes thousands of connections a second makes as many events; a bind is tried this often at most. */
const restMs = 2;
/** While nobody listens yet, a look follows after a tenth of the time waited so far, within these bounds. */
const [shortestLookMs, longestLookMs] = [5, 1_000];

/**
 * Resolves when the endpoint is free (or open), or cannot be in time: that is an answer too.
 *
 * @throws {TypeError} {RangeError} {UnsupportedError} as `why` does. Rejects with the signal's reason when it is aborted.
 * @example
 * ```ts
 * const child = spawn('node', ['server.js']);
 * const { done } = await wait(3000, { for: 'open', pid: child.pid, timeoutMs: 10_000 });
 * ```
 */
export async function wait(endpoint: WhyEndpoint, options: WaitOptions = {}): Promise<WaitReport> {
  options.signal?.throwIfAborted();
  const parsed = readEndpoint(endpoint);
  checkNames('wait()', options, optionNames);
  checkOptions(options);
  checkWaitOptions(options);
  const os = thisOs();
  const request = await resolveRequest(parsed, options, os);
  const startedAt = performance.now();
  const clock: Clock = {
    elapsedMs: () => performance.now() - startedAt,
    leftMs: () =>
      options.timeoutMs === undefined ? Number.POSITIVE_INFINITY : options.timeoutMs - (performance.now() - startedAt),
  };
  const mode = options.for ?? 'free';
  const end =
    mode === 'free' ? await untilFree(os, request, options, clock) : await untilOpen(os, request, options, clock);
  return {
    endpoint: request.endpoint,
    options: request.options,
    for: mode,
    done: end.failure === null,
    listeners: [],
    addresses: [],
    verdict: null,
    gaps: [],
    ...end,
    elapsedMs: Math.round(clock.elapsedMs()),
  };
}

interface Clock {
  elapsedMs(): number;
  leftMs(): number;
}

type End = Pick<WaitReport, 'failure'> & Partial<Pick<WaitReport, 'listeners' | 'addresses' | 'verdict' | 'gaps'>>;

async function untilFree(os: Os, request: Request, options: WaitOptions, clock: Clock): Promise<End> {
  if (isBindable(os, request)) return { failure: null };
  const { endpoint } = request;
  const port = endpoint.protocol === 'unix' ? null : endpoint;
  using sleeper = openSleeper(os, request, options.signal);
  for (;;) {
    const question = look(request, os, 'likely');
    if (question.errno === null) return { failure: null };
    const { verdict } = answer(question, causes);
    const { errno } = question;
    options.onProgress?.({ elapsedMs: clock.elapsedMs(), errno, verdict, expiresInMs: lastExpiry(question) });
    const handles = openHolders(os, question);
    const lookedAtMs = clock.elapsedMs();
    const ends = expiries(question, lookedAtMs);
    let table = tableOf(question.facts.sockets);
    let changed = false;
    /** A bind is tried only when the table of sockets says something new; other refusals than EADDRINUSE are not about sockets. */
    const ready = (): boolean => {
      const now = tableOf(os.readFacts(request, { holders: 'none' }).sockets);
      // Of a Unix socket the file counts too.
      if (now === table && question.errno === 'EADDRINUSE' && port !== null) return false;
      changed ||= now !== table;
      table = now;
      return isBindable(os, request);
    };
    try {
      // Who is to blame is asked anew when somebody came or went, but not for every connection of a busy server.
      while (!changed || clock.elapsedMs() - lookedAtMs < compareEveryMs) {
        if (clock.leftMs() <= 0) return tooLate(os, request);
        const untilEndMs = (ends[0] ?? Number.POSITIVE_INFINITY) - clock.elapsedMs();
        const event = await sleeper.sleep({
          processes: handles.filter((handle) => handle.isAlive()),
          ...(port !== null && { port }),
          timeoutMs: Math.max(1, Math.min(clock.leftMs(), untilEndMs, compareEveryMs)),
          ready,
        });
        if (event.kind === 'ready') return { failure: null };
        const ended = clock.elapsedMs() >= (ends[0] ?? Number.POSITIVE_INFINITY);
        if (ended) putOff(ends, question, lookedAtMs, clock.elapsedMs());
        if ((ended || event.kind !== 'timeout') && isBindable(os, request)) return { failure: null };
        if (event.kind === 'exit') break;
        if (event.kind === 'destroyed')
          await sleeper.sleep({ timeoutMs: Math.min(restMs, Math.max(0, clock.leftMs())) });
      }
    } finally {
      for (const handle of handles) handle.close();
    }
  }
}

/** The reason as it is now: what ends by itself is nearer to its end than at the last look. */
function tooLate(os: Os, request: Request): End {
  const { bindable, verdict, gaps } = answer(look(request, os), causes);
  return bindable === true ? { failure: null } : { failure: 'timeout', verdict, gaps };
}

interface Sleeper extends Disposable {
  /** `events.wait`, or a shorter sleep where the kernel does not tell about sockets. What happens to the file of a Unix socket counts as `destroyed`. */
  sleep(what: EventRequest): Promise<EventResult>;
}

function openSleeper(os: Os, { endpoint }: Request, signal: AbortSignal | undefined): Sleeper {
  let told = true;
  let wake = new AbortController();
  const doze = async (what: EventRequest): Promise<EventResult> => {
    if (told) {
      try {
        return await os.events.wait(what);
      } catch (error) {
        if (!isNativeError(error)) throw error;
        told = false;
      }
    }
    const { port: _port, ...rest } = what;
    return os.events.wait({ ...rest, timeoutMs: Math.min(rest.timeoutMs ?? withoutEventsMs, withoutEventsMs) });
  };
  if (endpoint.protocol !== 'unix') {
    return { sleep: (what) => doze({ ...what, ...(signal !== undefined && { signal }) }), [Symbol.dispose]: () => {} };
  }
  const unwatch = watchFile(endpoint.path, () => wake.abort());
  return {
    async sleep(what) {
      wake = new AbortController();
      try {
        return await doze({
          ...what,
          signal: AbortSignal.any([wake.signal, ...(signal === undefined ? [] : [signal])]),
        });
      } catch (error) {
        if (error !== wake.signal.reason) throw error;
        return { kind: 'destroyed' };
      }
    },
    [Symbol.dispose]: unwatch,
  };
}

/** Calls back when something happens to a file, where its directory can be watched; returns what ends that. */
function watchFile(path: string, onChange: () => void): () => void {
  if (path.startsWith('\0')) return () => {};
  try {
    const name = basename(path);
    const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
      if (changed === null || changed === name) onChange();
    });
    // The directory is gone: comparing goes on.
    watcher.on('error', () => {});
    return () => watcher.close();
  } catch (error) {
    // ENOENT, EACCES, and ENOSPC when this user watches too much already.
    if (!isSystemError(error)) throw error;
    return () => {};
  }
}

function openHolders(os: Os, { facts, blockers }: Question): ProcessHandle[] {
  const holders = blockers.flatMap(({ socket }) => facts.holders.get(socket.inode) ?? []);
  const unique = new Map(holders.map((holder) => [holder.pid, holder]));
  return [...unique.values()].flatMap((holder) => os.processes.open(holder) ?? []);
}

/** When leftovers should be gone, on the clock of this wait, the first one first. */
function expiries({ blockers }: Question, lookedAtMs: number): number[] {
  return blockers
    .flatMap(({ socket }) => (socket.protocol === 'unix' ? [] : (socket.expiresInMs ?? [])))
    .map((ms) => lookedAtMs + ms)
    .sort((a, b) => a - b);
}

/** Looks again soon for what is overdue, and gives up what should have gone long ago: then only the table tells. */
function putOff(ends: number[], question: Question, lookedAtMs: number, nowMs: number): void {
  const pending = expiries(question, lookedAtMs).filter((atMs) => atMs + latestMs > nowMs);
  const overdue = pending.some((atMs) => atMs <= nowMs);
  const later = pending.filter((atMs) => atMs > nowMs);
  ends.splice(0, ends.length, ...(overdue ? [nowMs + overdueEveryMs] : []), ...later);
  ends.sort((a, b) => a - b);
}

/** Null unless all that blocks goes by itself. */
function lastExpiry({ blockers }: Question): number | null {
  const all = blockers.map(({ socket }) => (socket.protocol === 'unix' ? null : socket.expiresInMs));
  const known = all.filter((ms) => ms !== null);
  return known.length > 0 && known.length === all.length ? Math.max(...known) : null;
}

/** Equal texts for equal tables. */
function tableOf(sockets: readonly Socket[]): string {
  return sockets
    .map((socket) =>
      [
        socket.protocol,
        socket.state,
        socket.inode,
        JSON.stringify(socket.protocol === 'unix' ? socket.path : [socket.local, socket.remote]),
      ].join(' '),
    )
    .sort()
    .join('\n');
}

async function untilOpen(os: Os, request: Request, options: WaitOptions, clock: Clock): Promise<End> {
  const { pid } = options;
  const identity = pid === undefined ? null : os.processes.identify(pid);
  const handle = identity === null ? null : os.processes.open(identity);
  if (pid !== undefined && handle === null) return { failure: 'process-ended' };
  try {
    options.onProgress?.({ elapsedMs: clock.elapsedMs(), errno: null, verdict: null, expiresInMs: null });
    using sleeper = openSleeper(os, request, options.signal);
    for (let quietSinceMs = 0; ; ) {
      // Before the look: a process that ended after it listened has not kept its promise.
      const alive = handle?.isAlive() ?? true;
      const now = whoListens(os, request, pid);
      const { right = false, ...rest } = now ?? {};
      if (right && alive) return { failure: null, ...rest };
      if (!alive) return { failure: 'process-ended', ...rest };
      const leftMs = clock.leftMs();
      if (leftMs <= 0 && now === null) return { failure: 'timeout', verdict: whoOnlyBound(os, request) };
      if (leftMs <= 0) return { failure: 'other-process', ...rest };
      const pauseMs = Math.min(Math.max((clock.elapsedMs() - quietSinceMs) / 10, shortestLookMs), longestLookMs);
      const { kind } = await sleeper.sleep({
        processes: handle === null ? [] : [handle],
        timeoutMs: Math.min(leftMs, pauseMs),
      });
      // Its file is there a moment before its server listens.
      if (kind === 'destroyed') quietSinceMs = clock.elapsedMs();
    }
  } finally {
    handle?.close();
  }
}

interface Opened extends Pick<WaitReport, 'listeners' | 'addresses' | 'gaps'> {
  readonly right: boolean;
}

/** Null when nobody listens. */
function whoListens(os: Os, request: Request, pid: number | undefined): Opened | null {
  const table = os.readFacts(request, { holders: 'none' });
  if (listenersOn(request.endpoint, table.sockets).length === 0) return null;
  const facts = os.readFacts(request, { holders: pid === undefined ? 'likely' : 'all' });
  const sockets = listenersOn(request.endpoint, facts.sockets);
  if (sockets.length === 0) return null;
  const holders = holdersOf(sockets, facts);
  // With a second server on the port by SO_REUSEPORT, or on another address, a client may reach either: every one must be right.
  const right =
    pid === undefined ||
    sockets.every((socket) => holdersOf([socket], facts).some((holder) => holder.pid === pid || isBelow(holder, pid)));
  return {
    right,
    listeners: holders.map(({ pid: of, command, argv }) => ({ pid: of, command, argv })),
    addresses: sockets.map((socket) => (socket.protocol === 'unix' ? { address: socket.path, port: 0 } : socket.local)),
    gaps: facts.gaps,
  };
}

/** A server that hangs between bind and listen is what a timeout would not tell. */
function whoOnlyBound(os: Os, request: Request): Finding | null {
  const { verdict } = answer(look(request, os), causes);
  return verdict?.cause === 'bound-not-listening' ? verdict : null;
}

function holdersOf(sockets: readonly Socket[], facts: Facts): Holder[] {
  const all = sockets.flatMap((socket) => facts.holders.get(socket.inode) ?? []);
  return [...new Map(all.map((holder) => [holder.pid, holder])).values()];
}

function isBelow(holder: Holder, pid: number): boolean {
  return holder.parents.some((parent) => parent.pid === pid);
}

const optionNames = [
  ...bindOptionNames,
  ...Object.keys({ for: true, pid: true, timeoutMs: true, onProgress: true } satisfies Record<
    keyof Omit<WaitOptions, keyof WhyOptions>,
    true
  >),
];

function checkWaitOptions(options: WaitOptions): void {
  const { for: mode, pid, timeoutMs, onProgress } = options as Record<string, unknown>;
  if (mode !== undefined && mode !== 'free' && mode !== 'open')
    throw new RangeError(`for must be free or open: received ${JSON.stringify(mode)}`);
  if (pid !== undefined && (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 1))
    throw new RangeError('pid must be the number of a process');
  if (pid !== undefined && mode !== 'open') throw new RangeError('pid has a meaning only when waiting for open');
  if (timeoutMs !== undefined && (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)))
    throw new RangeError('timeoutMs must be a number of milliseconds, 0 or more');
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new TypeError('onProgress must be a function');
}
