/**
 * Stops a server without losing what is in flight, the same way on every Node from 20 to 26.
 *
 * Node's own `server.close()` leaves keep-alive connections open until they time out (20 to 24), closes idle ones at once, so that a request
 * already on its way is lost, and since 26 destroys connections that have not sent a byte yet (nodejs/node#63452).
 */
import type { Socket as UdpSocket } from 'node:dgram';
import { Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { emptyAcceptQueue, prepareEmptying } from './accept-queue.ts';
import { type AfterStep, runSteps } from './after-steps.ts';
import { isServer, isUdpSocket, serverExpected } from './arguments.ts';
import { track, whenWorkIsDone, workLeft } from './background.ts';
import { type CloseOptions, readTimes, type SignalOptions, type Times } from './close-options.ts';
import type { Closed } from './closed.ts';
import { closingSignal, tellClosing } from './closing-signal.ts';
import { connectionsOf, followUpgrades } from './connections.ts';
import { isClosed } from './descriptor.ts';
import { Drain } from './drain.ts';
import { hidden } from './hidden.ts';
import { pause } from './pause.ts';
import { cancelListen } from './pending.ts';
import { learnedLameDuckMs } from './probes.ts';
import { onSignals } from './signals.ts';
import { publishCloseEnd, publishCloseStart, publishState } from './telemetry.ts';

interface Closing {
  readonly promise: Promise<Closed>;
  readonly hurry: () => void;
}

const closings = new WeakMap<object, Closing>();

/** The type of `close`: a function with four more. */
export interface Close {
  /** Stops accepting at once and lets go of the port, finishes what is in flight, and resolves when nothing is open any more. */
  (server: Server | UdpSocket, options?: CloseOptions): Promise<Closed>;
  /**
   * True from the call of `close` until it resolves: what a readiness check should answer no to.
   *
   * @example
   * ```ts
   * http.createServer((_request, response) => {
   *   response.statusCode = close.isClosing(server) ? 503 : 200;
   *   response.end();
   * });
   * ```
   */
  isClosing(server: Server | UdpSocket): boolean;
  /**
   * Work that outlives its answer: every `close` waits for it in what is left of its grace. Returns the same promise. Should the work fail,
   * Node's warnings say so.
   *
   * @throws {TypeError} when it is no promise.
   * @example
   * ```ts
   * http.createServer((_request, response) => {
   *   response.end('You get a mail');
   *   close.track(sendMail());
   * });
   * ```
   */
  track<Work extends PromiseLike<unknown>>(work: Work): Work;
  /**
   * Aborts when this server is closed for new connections: for the handlers of answers that never end by themselves, such as gRPC streams.
   *
   * @throws {TypeError} when it is not a server.
   * @example
   * ```ts
   * http.createServer((_request, response) => {
   *   const timer = setInterval(() => response.write('tick\n'), 1000);
   *   response.once('close', () => clearInterval(timer));
   *   close.signal(server).addEventListener('abort', () => response.end());
   * });
   * ```
   */
  signal(server: Server | UdpSocket): AbortSignal;
  /**
   * Closes the servers when the process is asked to end, then ends it with the status it would have had: killed by that signal, so that a
   * supervisor sees the truth, after the 'exit' listeners of the program. A second signal ends it at once. On a terminal Ctrl-C skips the lame
   * duck. Returns a function that takes the handlers away.
   *
   * @throws {TypeError} when one is not a server, or an option is not known. @throws {RangeError} when a time is not a number of milliseconds.
   * @example
   * ```ts
   * await listen(server, { port: 3000 });
   * close.onSignals(server, { graceMs: 10_000, lameDuckMs: 5000 });
   * ```
   */
  onSignals(servers: Server | UdpSocket | readonly (Server | UdpSocket)[], options?: SignalOptions): () => void;
}

/**
 * Stops accepting at once and lets go of the port, finishes what is in flight, and resolves when nothing is open any more.
 * Called again while it runs, it returns the same promise; on a server that does not listen it resolves at once. A `listen` that is under way
 * comes to nothing.
 *
 * HTTP/1.1 answers carry `Connection: close`; HTTP/2 gets GOAWAY; WebSockets get close 1012. The server emits `'drain'` first: a program
 * that listens for it has `idleMs` to say goodbye to its WebSockets and event streams in its own words.
 *
 * @throws {TypeError} when it is not a server, or an option is not known. @throws {RangeError} when a time is not a number of milliseconds.
 * @example
 * ```ts
 * const { finished, idle, killed } = await close(server, { graceMs: 10_000 });
 * ```
 */
export const close: Close = Object.assign(closeOne, {
  isClosing: (server: Server | UdpSocket): boolean => closings.has(server),
  track,
  signal: (server: Server | UdpSocket): AbortSignal => {
    if (!isServer(server) && !isUdpSocket(server)) throw serverExpected('close.signal', server);
    return closingSignal(server);
  },
  onSignals: closeOnSignals,
});

function closeOne(server: Server | UdpSocket, options: CloseOptions = {}): Promise<Closed> {
  if (!isServer(server) && !isUdpSocket(server)) throw serverExpected('close', server);
  const times = readTimes('close()', options);
  const { after = [] } = options;
  const running = closings.get(server);
  if (running !== undefined) {
    hurryOn(options.signal, running.hurry);
    return running.promise;
  }
  // A `listen` that is under way comes to nothing.
  return start(server, times, options.signal, cancelListen(server), after);
}

/** @internal For a `listen` that gives up after its server listened: closes the server as `close` does. */
export function closeAgain(server: Server): Promise<Closed> {
  return closings.get(server)?.promise ?? start(server, readTimes('close()', {}), undefined, null, []);
}

function start(
  server: Server | UdpSocket,
  times: Times,
  signal: AbortSignal | undefined,
  cancelled: Promise<void> | null,
  after: readonly AfterStep[],
): Promise<Closed> {
  const hurry = new AbortController();
  const begin = async (): Promise<Closed> => {
    const startMs = performance.now();
    const lameMs = times.lameDuckMs === 'auto' ? learnedLameDuckMs(server) : times.lameDuckMs;
    publishCloseStart(server, isUdpSocket(server) ? 0 : lameMs, times.graceMs);
    const wasAbout = cancelled !== null;
    const counts = isUdpSocket(server)
      ? await closeUdp(server, times.graceMs, hurry.signal, wasAbout)
      : await closeServer(server, { ...times, lameDuckMs: lameMs }, hurry.signal, wasAbout);
    const closed: Closed = { ...counts, elapsedMs: performance.now() - startMs };
    publishState(server, 'closed');
    publishCloseEnd(server, closed);
    await runSteps(after, closed, times.afterMs, hurry.signal);
    return closed;
  };
  const closing: Closing = {
    promise: (cancelled === null ? begin() : cancelled.then(begin)).finally(() => closings.delete(server)),
    hurry: () => hurry.abort(),
  };
  closings.set(server, closing);
  hurryOn(signal, closing.hurry);
  return closing.promise;
}

function closeOnSignals(
  servers: Server | UdpSocket | readonly (Server | UdpSocket)[],
  options: SignalOptions = {},
): () => void {
  const all = Array.isArray(servers) ? servers : [servers];
  for (const server of all)
    if (!isServer(server) && !isUdpSocket(server)) throw serverExpected('close.onSignals', server);
  const { afterMs } = readTimes('close.onSignals()', options, ['signals']);
  for (const server of all) {
    if (!isServer(server)) continue;
    connectionsOf(server);
    followUpgrades(server);
  }
  // When the program has begun its work: what a close needs is loaded then.
  setImmediate(() => {
    for (const server of all) if (isServer(server)) void prepareEmptying(server);
  });
  const { signals: _signals, signal: ended, after = [], ...times } = options;
  return onSignals(async (hurry, signalled) => {
    const signal = ended === undefined ? hurry : AbortSignal.any([hurry, ended]);
    // Somebody at the keyboard: no balancer is to be waited for.
    const typed = signalled === 'SIGINT' && process.getBuiltinModule('node:tty').isatty(0);
    const startMs = performance.now();
    const each = await Promise.all(
      all.map((server) => close(server, { ...times, signal, ...(typed && { lameDuckMs: 0 }) })),
    );
    await runSteps(after, sumOf(each, performance.now() - startMs), afterMs, signal);
  }, options);
}

function sumOf(each: readonly Closed[], elapsedMs: number): Closed {
  const total = (name: 'finished' | 'idle' | 'killed'): number => each.reduce((sum, one) => sum + one[name], 0);
  return {
    finished: total('finished'),
    idle: total('idle'),
    killed: total('killed'),
    workLeft: workLeft(),
    lameDuckMs: Math.max(0, ...each.map(({ lameDuckMs }) => lameDuckMs)),
    elapsedMs,
  };
}

async function closeServer(
  server: Server,
  times: Times & { readonly lameDuckMs: number },
  hurry: AbortSignal,
  wasAbout: boolean,
): Promise<Omit<Closed, 'elapsedMs'>> {
  const ended = new Promise<void>((resolve) => server.once('close', resolve));
  const giveBack = deferOwnClose(server);
  try {
    const drain = new Drain(server, times);
    const lameStartMs = performance.now();
    if (times.lameDuckMs > 0) publishState(server, 'lame-duck');
    await pause(times.lameDuckMs, hurry);
    const lameDuckMs = times.lameDuckMs > 0 ? performance.now() - lameStartMs : 0;
    publishState(server, 'draining');
    const wasListening = server.listening;
    if (wasListening && !hurry.aborted) await emptyAcceptQueue(server);
    // Not http.Server's close, which from Node 19 on cuts idle connections at once. The program may have closed it meanwhile.
    if (server.listening || wasAbout) Server.prototype.close.call(server);
    tellClosing(server);
    const endMs = performance.now() + times.graceMs;
    const counts = await drain.finish(hurry);
    endHttpTimers(server);
    // 'close' comes a tick later, unless the program removed our listener; a connection that Node hides from us can only be waited for,
    // and only as long as the others.
    while (isOpen(server) && performance.now() < endMs && !hurry.aborted) await within(ended, 50, hurry);
    if (wasListening || wasAbout) await within(ended, 50, hurry);
    await finishWork(server, endMs, hurry);
    return { ...counts, workLeft: workLeft(), lameDuckMs };
  } finally {
    giveBack();
  }
}

/** What was given to `close.track` has the rest of the grace. */
async function finishWork(server: object, endMs: number, hurry: AbortSignal): Promise<void> {
  if (workLeft() === 0) return;
  publishState(server, 'finishing');
  await within(whenWorkIsDone(), endMs - performance.now(), hurry);
}

/** True while Node has not yet emitted 'close': it counts a server's connections itself. */
function isOpen(server: Server): boolean {
  return ((server as { _connections?: number })._connections ?? 0) > 0;
}

/** The program's own shutdown code may call `server.close()` meanwhile; http's would cut the very connections that we let finish. */
function deferOwnClose(server: Server): () => void {
  const own = Object.getOwnPropertyDescriptor(server, 'close');
  Object.defineProperty(server, 'close', {
    configurable: true,
    writable: true,
    value: (callback?: () => void) => {
      if (callback !== undefined) server.once('close', () => callback());
      return server;
    },
  });
  return () => {
    if (own === undefined) Reflect.deleteProperty(server, 'close');
    else Object.defineProperty(server, 'close', own);
  };
}

/** http.Server looks for late requests at an interval that only its own close ends. */
function endHttpTimers(server: Server): void {
  const interval = hidden(server, 'http.server.connectionsCheckingInterval');
  if (interval !== undefined) clearInterval(interval as NodeJS.Timeout);
}

async function closeUdp(
  socket: UdpSocket,
  graceMs: number,
  hurry: AbortSignal,
  wasAbout: boolean,
): Promise<Omit<Closed, 'elapsedMs'>> {
  const startMs = performance.now();
  // Node looks every address up, numbers too, a turn of the event loop before it sends.
  await nextTurn();
  // Datagrams that the kernel did not take yet. Those that wait for a host name are known to nobody.
  while (isBound(socket) && socket.getSendQueueCount() > 0 && performance.now() - startMs < graceMs && !hurry.aborted)
    await pause(5, hurry);
  if (isBound(socket) || (wasAbout && !isClosed(socket))) await new Promise<void>((resolve) => socket.close(resolve));
  tellClosing(socket);
  await finishWork(socket, startMs + graceMs, hurry);
  return { finished: 0, idle: 0, killed: 0, workLeft: workLeft(), lameDuckMs: 0 };
}

function isBound(socket: UdpSocket): boolean {
  try {
    socket.address();
    return true;
  } catch {
    return false;
  }
}

/** Resolves with the promise, or when the time is over. */
async function within(promise: Promise<void>, ms: number, hurry: AbortSignal): Promise<void> {
  const enough = new AbortController();
  await Promise.race([promise, pause(ms, AbortSignal.any([hurry, enough.signal]))]);
  enough.abort();
}

function hurryOn(signal: AbortSignal | undefined, hurry: () => void): void {
  if (signal === undefined) return;
  if (signal.aborted) hurry();
  else signal.addEventListener('abort', hurry, { once: true });
}
