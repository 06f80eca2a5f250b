/** `rebind free <endpoint>...`. */
import { type FreeOptions, type FreeReport, type FreeStep, free } from '../../free.ts';
import { formatEndpoint, type Request } from '../../model/endpoint.ts';
import { escapeText } from '../../model/text.ts';
import { isSystemError } from '../../os/errors.ts';
import { os } from '../../os/index.ts';
import { explain } from '../../why.ts';
import type { Invocation } from '../command.ts';
import { exit } from '../exit.ts';
import { planPicture, stepsPicture } from '../free-text.ts';
import { canvas, type Io } from '../io.ts';
import { freeDocument, print } from '../json.ts';
import { openStatus, type Status } from '../progress-line.ts';
import { ask, canAsk } from '../question.ts';
import { requestsOf } from '../request.ts';
import { parseMilliseconds } from '../time.ts';
import { UsageError } from '../usage.ts';
import { endpointObject } from '../words.ts';

export async function run(invocation: Invocation, io: Io): Promise<number> {
  const requests = await requestsOf(invocation.operands.length > 0 ? invocation : await picked(invocation, io));
  const json = invocation.flag('json') === true;
  const yes = invocation.flag('yes') === true;
  const reports: FreeReport[] = [];
  let failure: string | null = null;
  using status = openStatus(io);
  for (const request of requests) {
    // One after the other: one's failure does not stop the others, and questions come one at a time.
    const { report, error } = await freeOne(request, invocation, io, status);
    status.clear();
    reports.push(report);
    if (!json) io.stdout.write(stepsPicture(report, canvas(io), yes, io.now()));
    if (error === null) continue;
    failure ??= error;
    io.stderr.write(`${canvas(io, 'stderr').paint('bad', 'rebind:')} ${error}\n`);
  }
  if (io.signal.aborted && !json) io.stderr.write(`${canvas(io, 'stderr').paint('bad', 'Interrupted')}\n`);
  if (json) io.stdout.write(print(freeDocument(reports, io.signal.aborted, failure)));
  return failure === null ? worst(reports) : Math.max(exit.unknown, worst(reports));
}

/** Without an endpoint a person chooses from a list; there is none for a program. */
async function picked(invocation: Invocation, io: Io): Promise<Invocation> {
  if (!canAsk() || invocation.flag('json') === true)
    throw new UsageError('"rebind free" needs endpoints, such as 3000. See "rebind help free".');
  const { choose } = await import('../pick.ts');
  return { ...invocation, operands: await choose(io) };
}

interface Freed {
  readonly report: FreeReport;
  /** The system call that failed in the middle, or null. */
  readonly error: string | null;
}

async function freeOne(request: Request, invocation: Invocation, io: Io, status: Status): Promise<Freed> {
  // Monotonic as performance.now() is, whose module takes a millisecond to load.
  const startedAt = process.uptime();
  const steps: FreeStep[] = [];
  try {
    return { report: await free(request.endpoint, optionsOf(request, invocation, io, status, steps)), error: null };
  } catch (error) {
    const failed = isSystemError(error) ? error.message : null;
    if (failed === null && !(io.signal.aborted && error === io.signal.reason)) throw error;
    // What was done stays done; how the port is now is what the user needs to know.
    const { endpoint, options, bindable, errno, verdict, blockers, plan, gaps } = explain(request, os());
    const elapsedMs = Math.round((process.uptime() - startedAt) * 1000);
    return {
      report: { endpoint, options, bindable, errno, verdict, blockers, steps, plan, respawn: null, gaps, elapsedMs },
      error: failed === null ? null : escapeText(`${formatEndpoint(endpoint)}: ${failed}`),
    };
  }
}

function optionsOf(request: Request, invocation: Invocation, io: Io, status: Status, steps: FreeStep[]): FreeOptions {
  const grace = invocation.value('grace');
  const timeout = invocation.value('timeout');
  return {
    ...request.options,
    ...(grace !== undefined && { graceMs: parseMilliseconds(grace, 'grace') }),
    ...(timeout !== undefined && { timeoutMs: parseMilliseconds(timeout, 'timeout') }),
    force: invocation.flag('force') === true,
    yes: invocation.flag('yes') === true,
    dryRun: invocation.flag('dry-run') === true,
    signal: io.signal,
    ...(canAsk() && { confirm: (planned) => confirm(request, planned, io, status) }),
    onProgress: (progress) => {
      if (progress.kind === 'step') steps.push(progress.step);
      if (progress.kind !== 'waiting') return;
      const { waiting } = progress;
      const text =
        waiting.for === 'expiry'
          ? 'waiting for leftover connections to expire'
          : `waiting for ${waiting.pids.length === 1 ? `pid ${waiting.pids[0]}` : `${waiting.pids.length} processes`} to exit`;
      status.show({ text, leftMs: waiting.leftMs, wholeMs: waiting.for === 'expiry' ? waiting.leftMs : null });
    },
  };
}

async function confirm(request: Request, steps: readonly FreeStep[], io: Io, status: Status): Promise<boolean> {
  status.clear();
  const surface = canvas(io, 'stderr');
  io.stderr.write(`To free ${endpointObject(request.endpoint)}:\n${planPicture(steps, surface)}`);
  return ask('Continue? [y/N] ', io.signal);
}

function worst(reports: readonly FreeReport[]): number {
  const codes = reports.map(({ bindable }) => {
    if (bindable === null) return exit.unknown;
    return bindable ? exit.ok : exit.blocked;
  });
  return Math.max(exit.ok, ...codes);
}
