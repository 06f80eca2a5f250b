/**
 * Carries out the steps of a plan. Outside of server/ and hold/, this file and act/ are the only code that changes the machine.
 */

import type { Request } from '../model/endpoint.ts';
import type { ActResult, PlannedStep } from '../model/step.ts';
import { destroySockets, removeSocketFile } from './leftovers.ts';
import { stopManaged } from './manager.ts';
import { mark } from './mark.ts';
import { type StopContext, stopProcesses } from './stop.ts';

export interface ActContext extends Omit<StopContext, 'port' | 'onWaiting'> {
  readonly request: Request;
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
 * Rejects with the signal's reason when it is aborted. What became of every step is told through `onResult`, then too.
 */
export async function act(
  steps: readonly PlannedStep[],
  context: ActContext,
  onResult: (result: StepResult) => void,
): Promise<void> {
  const untold = new Set(steps);
  const tell = (step: PlannedStep, result: ActResult): void => {
    untold.delete(step);
    onResult({ step, ...result });
  };
  let current: PlannedStep | null = null;
  try {
    for (const step of steps) {
      if (!untold.has(step)) continue;
      context.signal?.throwIfAborted();
      current = step;
      // All of them at once: who started whom decides who is asked first.
      if (step.work.kind === 'stop') await stopAll(steps, context, tell);
      else tell(step, step.work.kind !== 'mark' && context.isFree() ? notNeeded : await actOn(step, context));
    }
  } catch (error) {
    for (const step of untold) tell(step, step === current && step.work.kind !== 'stop' ? brokenOff : notBegun);
    throw error;
  }
}

const notNeeded: ActResult = { outcome: 'skipped', why: 'the port is free without it' };
const brokenOff: ActResult = { outcome: 'failed', why: 'interrupted' };
const notBegun: ActResult = { outcome: 'skipped', why: 'interrupted before it' };

async function stopAll(
  all: readonly PlannedStep[],
  context: ActContext,
  tell: (step: PlannedStep, result: ActResult) => void,
): Promise<void> {
  const stops = all.flatMap((step) => (step.work.kind === 'stop' ? [{ step, holder: step.work.holder }] : []));
  const { endpoint } = context.request;
  const results = new Map<number, ActResult>();
  if (context.isFree()) {
    for (const { step } of stops) tell(step, notNeeded);
    return;
  }
  try {
    const port = endpoint.protocol === 'unix' ? null : endpoint;
    const onWaiting = (pids: readonly number[], leftMs: number): void =>
      context.onWaiting({ for: 'exit', pids, leftMs });
    await stopProcesses(
      stops.map(({ holder }) => holder),
      { ...context, port, onWaiting },
      results,
    );
  } finally {
    for (const { step, holder } of stops) {
      const result = results.get(holder.pid);
      if (result !== undefined) tell(step, result);
    }
  }
}

async function actOn(step: PlannedStep, context: ActContext): Promise<ActResult> {
  const { os, request, signal } = context;
  const { work } = step;
  switch (work.kind) {
    case 'mark':
      return mark(os, request, work.sockets);
    case 'manager':
      return stopManaged(os, work.order, work.called, context.graceMs, signal);
    case 'destroy':
      return destroySockets(os, work.sockets);
    case 'unlink':
      return removeSocketFile(os, work.path, work.inode);
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
    if (performance.now() > deadline + latestMs) return { outcome: 'failed', why: 'the kernel holds it longer' };
  }
}
