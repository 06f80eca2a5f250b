/**
 * Waits until a bind would succeed.
 */
import { isBindable } from '../ask/bindable.ts';
import { look } from '../ask/look.ts';
import { causes } from '../causes/bind/index.ts';
import type { Request } from '../model/endpoint.ts';
import type { Socket } from '../model/facts.ts';
import { heldHere } from '../model/held-here.ts';
import { answer } from '../model/judge.ts';
import type { Question } from '../model/verdict.ts';
import type { Os } from '../os/os.ts';
import type { ProcessHandle } from '../os/processes.ts';
import type { Clock, End, WaitOptions } from './options.ts';
import { openSleeper } from './sleeper.ts';

/** How often the table of sockets is compared, for the few changes that the kernel tells nobody: the end of a TIME_WAIT, a listener that stops listening. */
const compareEveryMs = 2_000;

/** The kernel's timer wheel is coarse: what ends in a minute may end 4 s later (kernel/time/timer.c, level 4). Until then it is looked for this often. */
const [latestMs, overdueEveryMs] = [5_000, 50];

/** A server that closes thousands of connections a second makes as many events; a bind is tried this often at most. */
const restMs = 2;

export async function untilFree(os: Os, request: Request, options: WaitOptions, clock: Clock): Promise<End> {
  if (isBindable(os, request) === true) return { failure: null };
  const { endpoint } = request;
  const port = endpoint.protocol === 'unix' ? null : endpoint;
  using sleeper = openSleeper(os, request, options.signal);
  for (;;) {
    const question = look(request, os, 'likely');
    if (question.errno === null) return settled(question);
    if (heldHere(question) !== null) return { failure: null };
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
      return isBindable(os, request) === true;
    };
    try {
      // The blocking processes are read anew when one came or went, but not for every connection of a busy server.
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
        if ((ended || event.kind !== 'timeout') && isBindable(os, request) === true) return { failure: null };
        if (event.kind === 'exit') break;
        if (event.kind === 'destroyed')
          await sleeper.sleep({ timeoutMs: Math.min(restMs, Math.max(0, clock.leftMs())) });
      }
    } finally {
      for (const handle of handles) handle.close();
    }
  }
}

/** No refusal is expected; where it could not be tried, only what is seen speaks for it. */
function settled(question: Question): End {
  const { bindable, verdict, gaps } = answer(question, causes);
  return bindable === true ? { failure: null } : { failure: 'unknown', verdict, gaps };
}

/** The reason as it is now: what ends by itself is nearer to its end than at the last look. */
function tooLate(os: Os, request: Request): End {
  const { bindable, verdict, gaps } = answer(look(request, os), causes);
  return bindable === true ? { failure: null } : { failure: 'timeout', verdict, gaps };
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
