/**
 * What to do when the port is blocked: the next one, later, or instead of the one who has it.
 */

import type { Server } from 'node:net';
import { BlockedPortError } from '../errors.ts';
import type { Report } from '../model/verdict.ts';
import { isUnsupportedError } from '../os/errors.ts';
import { isServer } from './arguments.ts';
import { type Attempt, owned } from './attempt.ts';
import { close } from './close.ts';
import { bindOptionsOf, endpointOf, isListening, type Plan } from './listen-plan.ts';
import type { Predecessor } from './take-over.ts';

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

/** As soon as the port is free, or Node's error when the time is over. */
export async function listenLater(plan: Plan, attempt: Attempt): Promise<void> {
  const { options } = plan;
  const endMs = options.timeoutMs === undefined ? null : performance.now() + options.timeoutMs;
  for (;;) {
    try {
      await attempt(options.port ?? 0);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      const leftMs = endMs === null ? null : endMs - performance.now();
      if (leftMs !== null && leftMs <= 0) throw error;
      const { wait } = await import('../wait.ts');
      await wait(endpointOf(plan), {
        ...bindOptionsOf(plan),
        ...(leftMs !== null && { timeoutMs: leftMs }),
        ...(options.signal && { signal: options.signal }),
      });
    }
  }
}

/** Takes the port over from an older instance, if one has it; from then on it can be taken over itself. */
export async function listenInstead(plan: Plan, attempt: Attempt): Promise<Predecessor | null> {
  const { server, options } = plan;
  let predecessor: Predecessor | null = null;
  try {
    await attempt(options.port ?? 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    const report = await reportOf(plan);
    if (report === null) throw error;
    predecessor = await replace(plan, report, error, attempt);
  }
  if (isServer(server)) await offerToSuccessors(server);
  return predecessor;
}

async function replace(plan: Plan, report: Report, blocked: unknown, attempt: Attempt): Promise<Predecessor> {
  const { server, options, backlog } = plan;
  const { signal, takeOver = {} } = options;
  const [{ os: thisOs }, over] = await Promise.all([import('../os/index.ts'), import('./take-over.ts')]);
  const os = thisOs();
  const fail = (why: string): BlockedPortError =>
    new BlockedPortError(report, { cause: Object.assign(new Error(why, { cause: blocked }), { code: 'EADDRINUSE' }) });
  let found: Awaited<ReturnType<typeof over.findPredecessor>>;
  try {
    found = await over.findPredecessor(os, report, takeOver, signal);
  } catch (error) {
    if (error instanceof over.NotTaken) throw fail(error.message);
    throw error;
  }
  const { process: old, socket, how } = found;
  try {
    if (socket !== null && isServer(server)) {
      await owned(os, server, socket, () => over.serveOn(os, server, socket, backlog, signal));
    } else over.vaccinate(os, old, report);
    const answer = await over.askToFinish(os, old, takeOver, signal);
    if (answer !== 'ended') {
      if (isListening(server)) await close(server, { graceMs: 1000, idleMs: 0, firstByteMs: 0 });
      const { pid } = old.identity;
      throw fail(
        answer === 'denied'
          ? `Process ${pid}, which holds the port, may not be asked to end by this user`
          : `Process ${pid}, which holds the port, was asked to end and did not in time, so it keeps the port`,
      );
    }
    if (!isListening(server)) await attempt(options.port ?? 0);
    return { pid: old.identity.pid, how };
  } finally {
    old.close();
  }
}

async function offerToSuccessors(server: Server): Promise<void> {
  const address = server.address();
  if (process.platform !== 'linux' || address === null || typeof address === 'string') return;
  const [{ os }, { offer }] = await Promise.all([import('../os/index.ts'), import('./offer.ts')]);
  offer(os(), server, address.address, address.port);
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
