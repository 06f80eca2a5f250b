/**
 * Waits until a program listens.
 */
import { look } from '../ask/look.ts';
import { causes } from '../causes/bind/index.ts';
import { isWildcard } from '../model/address.ts';
import type { Endpoint, Request } from '../model/endpoint.ts';
import type { Facts, Holder, InetSocket, Socket } from '../model/facts.ts';
import { answer } from '../model/judge.ts';
import { listenersOn } from '../model/listeners-on.ts';
import { UnsupportedError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';
import type { Clock, End, WaitOptions, WaitReport } from './options.ts';
import { openSleeper } from './sleeper.ts';

/** While nobody listens yet, a look follows after a tenth of the time waited so far, within these bounds. */
const [shortestLookMs, longestLookMs] = [5, 1_000];

export async function untilOpen(os: Os, request: Request, options: WaitOptions, clock: Clock): Promise<End> {
  const blind = os.lacks('listSockets');
  if (blind !== null) return untilAnswered(request, options, clock, blind);
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
      if (leftMs <= 0 && now === null)
        return { failure: 'timeout', ...whoElse(os, request), verdict: await whyNotOpen(os, request, options.signal) };
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

/** Where sockets cannot be listed a connection tells; it is closed at once. @throws {UnsupportedError} for what only the list would tell. */
async function untilAnswered({ endpoint }: Request, options: WaitOptions, clock: Clock, why: string): Promise<End> {
  if (options.pid !== undefined || endpoint.protocol === 'udp') throw new UnsupportedError(why);
  options.onProgress?.({ elapsedMs: clock.elapsedMs(), errno: null, verdict: null, expiresInMs: null });
  const place = endpoint.protocol === 'unix' ? { address: endpoint.path, port: 0 } : endpoint;
  for (;;) {
    if (await answers(endpoint, Math.min(clock.leftMs(), longestLookMs)))
      return { failure: null, addresses: [{ address: place.address, port: place.port }] };
    options.signal?.throwIfAborted();
    const leftMs = clock.leftMs();
    if (leftMs <= 0) return { failure: 'timeout' };
    const pauseMs = Math.min(Math.max(clock.elapsedMs() / 10, shortestLookMs), longestLookMs, leftMs);
    await process.getBuiltinModule('node:timers/promises').setTimeout(pauseMs, undefined, { signal: options.signal });
  }
}

function answers(endpoint: Exclude<Endpoint, { protocol: 'udp' }>, withinMs: number): Promise<boolean> {
  const { connect } = process.getBuiltinModule('node:net');
  return new Promise((resolve) => {
    const socket =
      endpoint.protocol === 'unix'
        ? connect({ path: endpoint.path })
        : connect({ port: endpoint.port, host: reachable(endpoint.address) });
    const end = (is: boolean) => (): void => {
      socket.destroy();
      resolve(is);
    };
    socket.setTimeout(Math.max(1, withinMs), end(false));
    socket.once('connect', end(true)).once('error', end(false));
  });
}

/** A server on every address is reached over the loopback. */
function reachable(address: string): string {
  return isWildcard(address) ? (address.includes(':') ? 'localhost' : '127.0.0.1') : address;
}

interface Opened extends Pick<WaitReport, 'listeners' | 'addresses' | 'gaps'> {
  readonly right: boolean;
}

/** Null when nobody listens. */
function whoListens(os: Os, request: Request, pid: number | undefined): Opened | null {
  const table = os.readFacts(request, { holders: 'none' });
  if (listenersOn(request.endpoint, table.sockets).length === 0) return null;
  const facts = os.readFacts(request, { holders: pid === undefined ? 'likely' : 'all' });
  const sockets = listenersOn(request.endpoint, facts.sockets).filter((socket) => !isDeaf(socket, facts));
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

/** Who listens on another address of the port: a client of that one would get through. */
function whoElse(os: Os, request: Request): Pick<WaitReport, 'listeners' | 'elsewhere'> {
  const { endpoint } = request;
  if (endpoint.protocol === 'unix') return { listeners: [], elsewhere: [] };
  const facts = os.readFacts(request, { holders: 'likely' });
  const others = facts.sockets.filter(
    (socket): socket is InetSocket =>
      socket.protocol === endpoint.protocol &&
      socket.local.port === endpoint.port &&
      listenersOn(endpoint, [socket]).length === 0 &&
      socket.state === (socket.protocol === 'udp' ? 'BOUND' : 'LISTEN'),
  );
  return {
    listeners: holdersOf(others, facts).map(({ pid, command, argv }) => ({ pid, command, argv })),
    elsewhere: others.map(({ local }) => local),
  };
}

/** That nobody listens there, and who does elsewhere, is in the answer already. */
const saidAlready: ReadonlySet<string> = new Set([
  'nothing-listens',
  'other-family',
  'other-address',
  'other-device',
  'loopback-only',
]);

/** What a timeout alone would not tell: a server that hangs between bind and listen, or that listens and cannot accept. */
async function whyNotOpen(os: Os, request: Request, signal: AbortSignal | undefined): Promise<WaitReport['verdict']> {
  const { verdict } = answer(look(request, os), causes);
  if (verdict?.cause === 'bound-not-listening') return verdict;
  const { foresee } = await import('../reach/foresee.ts');
  const found = await foresee(request.endpoint, os, signal);
  return found !== null && saidAlready.has(found.cause) ? null : found;
}

/** True where every process that has the listener open is suspended, or was seen to sleep in something else than waiting for connections. */
function isDeaf(socket: Socket, facts: Facts): boolean {
  const holders = holdersOf([socket], facts);
  return (
    socket.protocol !== 'udp' &&
    holders.length > 0 &&
    holders.every(({ accepts, processState }) => accepts === false || /^[Tt]$/.test(processState))
  );
}

function holdersOf(sockets: readonly Socket[], facts: Facts): Holder[] {
  const all = sockets.flatMap((socket) => facts.holders.get(socket.inode) ?? []);
  return [...new Map(all.map((holder) => [holder.pid, holder])).values()];
}

function isBelow(holder: Holder, pid: number): boolean {
  return holder.parents.some((parent) => parent.pid === pid);
}
