/**
 * What to do when the port is blocked: the next one, later, or instead of the one who has it.
 */

import type { Server } from 'node:net';
import { resolve } from 'node:path';
import type { Lock } from '../act/lock.ts';
import type { Report } from '../causes/bind/index.ts';
import { BlockedPortError } from '../errors.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import { isUnsupportedError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';
import { isServer } from './arguments.ts';
import { type Attempt, isWorker, owned } from './attempt.ts';
import { closeAgain } from './close.ts';
import { bindOptionsOf, endpointOf, isListening, type Plan } from './listen-plan.ts';
import type { Found, Predecessor } from './take-over.ts';

/** The asked port, or the first free one above it. */
export async function listenNext(plan: Plan, attempt: Attempt): Promise<void> {
  const first = plan.options.port ?? 0;
  for (let port = first; ; port++) {
    try {
      await attempt(port);
      return;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // A port that needs a privilege is as good as a taken one.
      if ((code !== 'EADDRINUSE' && code !== 'EACCES') || first === 0 || port === 65_535) throw error;
    }
  }
}

/** How long a cluster worker waits until it looks whether its primary has the port by now, for another worker. */
const workerLookMs = 500;

/** As soon as the port is free, or Node's error when the time is over. */
export async function listenLater(plan: Plan, unguarded: Attempt): Promise<void> {
  const { options } = plan;
  const inWorker = await isWorker();
  const attempt = inWorker ? lookFirst(plan, unguarded) : unguarded;
  const endMs = options.timeoutMs === undefined ? null : performance.now() + options.timeoutMs;
  for (;;) {
    try {
      await attempt(options.port ?? 0);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      const leftMs = endMs === null ? null : endMs - performance.now();
      if (leftMs !== null && leftMs <= 0) throw error;
      const { wait } = await import('../wait/wait.ts');
      await wait(endpointOf(plan), {
        ...bindOptionsOf(plan),
        ...((leftMs !== null || inWorker) && {
          timeoutMs: Math.min(leftMs ?? workerLookMs, inWorker ? workerLookMs : Number.POSITIVE_INFINITY),
        }),
        ...(options.signal && { signal: options.signal }),
      });
    }
  }
}

/**
 * A cluster worker looks before it asks its primary: Node numbers the tries of a worker, and workers share only what has the same number in each
 * of them, so that one that failed more often than another would be refused for ever.
 */
function lookFirst(plan: Plan, attempt: Attempt): Attempt {
  return async (port) => {
    const report = await reportOf(plan);
    const others = report?.blockers.filter(({ holders }) => !holders.some(({ pid }) => pid === process.ppid)) ?? [];
    if (report?.errno === 'EADDRINUSE' && others.length > 0)
      throw Object.assign(new Error(`listen EADDRINUSE: address already in use ${formatEndpoint(report.endpoint)}`), {
        code: 'EADDRINUSE',
        syscall: 'listen',
      });
    await attempt(port);
  };
}

/** Takes the port over from an older instance, if one has it; from then on it can be taken over itself. */
export async function listenInstead(plan: Plan, unguarded: Attempt): Promise<Predecessor | null> {
  const { server, options } = plan;
  const inWorker = await isWorker();
  const attempt = inWorker ? lookFirst(plan, unguarded) : unguarded;
  let predecessor: Predecessor | null = null;
  try {
    await attempt(options.port ?? 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    predecessor = await inTurn(plan, error, (os) => replace(os, plan, attempt, inWorker));
  }
  // The socket of a cluster worker is the primary's.
  if (isServer(server) && !inWorker && options.signal?.aborted !== true) await offerToSuccessors(server);
  return predecessor;
}

/** Two new instances that start together would else both serve on the old one's socket, and end each other. */
async function inTurn<Result>(plan: Plan, blocked: unknown, work: (os: Os) => Promise<Result>): Promise<Result> {
  const { options, protocol } = plan;
  const { signal, takeOver = {} } = options;
  const [{ os: thisOs }, { lockTakeOver }] = await Promise.all([import('../os/index.ts'), import('../act/lock.ts')]);
  let os: Os;
  let lock: Lock;
  try {
    os = thisOs();
    const where = options.path === undefined ? String(options.port ?? 0) : resolve(options.path);
    lock = await lockTakeOver(os, `${protocol}/${where}`, takeOver.timeoutMs, signal);
  } catch (error) {
    if (isUnsupportedError(error)) throw blocked;
    throw error;
  }
  try {
    return await work(os);
  } catch (error) {
    // What this system cannot do is no reason to hide that the port is taken.
    if (isUnsupportedError(error)) throw blocked;
    throw error;
  } finally {
    // After the caller's next lines: by then it may have said what it does at SIGTERM, which the next one sends.
    setImmediate(() => lock.release());
  }
}

/** What changes while it is looked at is looked at again, but not for ever. */
const mostLooks = 5;

async function replace(os: Os, plan: Plan, attempt: Attempt, inWorker: boolean): Promise<Predecessor | null> {
  const { server, options } = plan;
  const { signal, takeOver = {} } = options;
  const over = await import('./take-over.ts');
  let predecessor: Predecessor | null = null;
  for (let look = 1; ; look++) {
    let blocked: unknown;
    try {
      await attempt(options.port ?? 0);
      return predecessor;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || look > mostLooks) throw error;
      blocked = error;
    }
    const report = await reportOf(plan);
    if (report === null) throw blocked;
    if (report.bindable === true || (await over.removeLeftover(os, report))) continue;
    try {
      const found = await over.findPredecessor(os, report, takeOver, inWorker, signal);
      if (found !== null) predecessor = await succeed(os, plan, report, found);
    } catch (error) {
      if (!(error instanceof over.NotTaken)) throw error;
      const cause = Object.assign(new Error(error.message, { cause: blocked }), { code: 'EADDRINUSE' });
      throw new BlockedPortError(report, { cause });
    }
    if (isListening(server)) return predecessor;
  }
}

/** @throws {NotTaken} when the old process keeps the port; then this one does not have it. */
async function succeed(os: Os, plan: Plan, report: Report, found: Found): Promise<Predecessor> {
  const { server, options, backlog } = plan;
  const { signal, takeOver = {} } = options;
  const over = await import('./take-over.ts');
  const { process: old, socket, how } = found;
  const family = over.familyOf(os, report);
  try {
    if (socket !== null && isServer(server)) {
      await owned(os, server, socket, () => over.serveOn(os, server, socket, backlog, signal));
    } else over.vaccinate(os, old, report);
    await over.dismiss(os, old, takeOver, signal);
    // Children that share the socket would go on to accept from it.
    if (family.length > 1)
      await over.dismissAll(os, family, over.holdersOf((await reportOf(plan)) ?? report), takeOver, signal);
    return { pid: old.identity.pid, how };
  } catch (error) {
    // The caller that closed the server, so that the signal is aborted, lets its connections finish.
    if (isServer(server) && isListening(server) && signal?.aborted !== true) await closeAgain(server);
    throw error;
  } finally {
    old.close();
  }
}

async function offerToSuccessors(server: Server): Promise<void> {
  const address = server.address();
  if (address === null || typeof address === 'string') return;
  const [{ os }, { offer }] = await Promise.all([import('../os/index.ts'), import('./offer.ts')]);
  if (os().lacks('passSockets') === null) await offer(os(), server, address.address, address.port);
}

/** What `why` says about this listen, or null where rebind cannot read the system. */
export async function reportOf(plan: Plan): Promise<Report | null> {
  const { why } = await import('../why.ts');
  try {
    return await why(endpointOf(plan), { ...bindOptionsOf(plan), holders: 'all' });
  } catch (error) {
    if (isUnsupportedError(error)) return null;
    throw error;
  }
}

/** An explanation that fails must not replace the error that it was to explain. */
export function warnUnexplained(error: unknown, failure: unknown): void {
  const [what, why] = [error, failure].map((each) => (each instanceof Error ? each.message : String(each)));
  process.emitWarning(`rebind cannot explain ${what}: ${why}`, { code: 'REBIND_EXPLAIN' });
}
