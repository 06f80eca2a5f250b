/**
 * Carries out the steps of a plan. Outside of server/ and hold/, this file and act/ are the only code that changes the machine.
 */
import { destroySockets, removeSocketFile } from './act/leftovers.ts';
import { stopManaged } from './act/manager.ts';
import { mark } from './act/mark.ts';
import type { ActResult } from './act/result.ts';
import { stopProcesses } from './act/stop.ts';
import type { Request } from './model/endpoint.ts';
import type { Holder } from './model/facts.ts';
import type { PlannedStep } from './model/steps.ts';
import type { Os } from './os/os.ts';

export interface ActContext {
  readonly os: Os;
  readonly request: Request;
  readonly graceMs: number;
  readonly force: boolean;
  /** Kill at once: asking was tried. */
  readonly withoutAsking: boolean;
  readonly uid: number;
  readonly signal: AbortSignal | undefined;
  /** The caller's own bind. */
  isFree(): boolean;
  /** Which of these have a blocker open now. */
  stillHolding(holders: readonly Holder[]): readonly Holder[];
  /** Called when a wait begins. */
  onWaiting(waiting: Waiting): void;
}

/** What is being waited for. */
export type Waiting =
  | { readonly for: 'exit'; readonly pids: readonly number[]; readonly leftMs: number }
  | { readonly for: 'expiry'; readonly leftMs: number };

/** What became of one step. */
export interface StepResult extends ActResult {
  readonly step: PlannedStep;
}

/**
 * Carries out steps, in their order, until the port is free.
 *
 * Rejects with the signal's reason when it is aborted; what was done until then is reported through `onResult`.
 */
export async function act(
  steps: readonly PlannedStep[],
  context: ActContext,
  onResult: (result: StepResult) => void,
): Promise<void> {
  const stops = steps.filter((step) => step.work.kind === 'stop');
  let stopped = false;
  for (const step of steps) {
    context.signal?.throwIfAborted();
    if (step.work.kind === 'stop') {
      // All of them at once: who started whom decides who is asked first.
      if (!stopped) await stopAll(stops, context, onResult);
      stopped = true;
    } else {
      const free = step.work.kind !== 'mark' && context.isFree();
      const result = free ? notNeeded : await actOn(step, context);
      onResult({ step, ...result });
    }
  }
}

const notNeeded: ActResult = { outcome: 'skipped', why: 'the port is free without it' };

async function stopAll(
  steps: readonly PlannedStep[],
  context: ActContext,
  onResult: (result: StepResult) => void,
): Promise<void> {
  const holders = steps.flatMap((step) => (step.work.kind === 'stop' ? [step.work.holder] : []));
  const { endpoint } = context.request;
  const results = context.isFree()
    ? new Map<number, ActResult>()
    : await stopProcesses(holders, {
        ...context,
        port: endpoint.protocol === 'unix' ? null : endpoint,
        onWaiting: (pids, leftMs) => context.onWaiting({ for: 'exit', pids, leftMs }),
      });
  for (const step of steps) {
    if (step.work.kind === 'stop') onResult({ step, ...(results.get(step.work.holder.pid) ?? notNeeded) });
  }
}

async function actOn(step: PlannedStep, context: ActContext): Promise<ActResult> {
  const { os, request, signal } = context;
  const { work } = step;
  switch (work.kind) {
    case 'mark':
      return mark(os, request, work.sockets);
    case 'manager':
      return stopManaged(work.manager, context.graceMs, signal);
    case 'destroy':
      return destroySockets(os, work.sockets);
    case 'unlink':
      return removeSocketFile(os, request, work.path, work.inode);
    case 'wait':
      return waitForExpiry(work.ms, context);
    default:
      return { outcome: 'refused', why: step.refusal };
  }
}

/** The kernel's timer wheel is coarse: what ends in a minute may end 4 s later (kernel/time/timer.c, level 4). */
const latestMs = 5_000;
const lookEveryMs = 50;

async function waitForExpiry(ms: number, context: ActContext): Promise<ActResult> {
  const { os, signal } = context;
  context.onWaiting({ for: 'expiry', leftMs: ms });
  const deadline = performance.now() + ms;
  for (let leftMs = ms; ; leftMs = Math.max(lookEveryMs, deadline - performance.now())) {
    await os.events.wait({ timeoutMs: leftMs, ...(signal !== undefined && { signal }) });
    if (context.isFree()) return { outcome: 'done', why: null };
    if (performance.now() > deadline + latestMs) return { outcome: 'failed', why: 'the kernel keeps it longer' };
  }
}
