/**
 * Joining on processes: ask them to stop, and wait until they have really ended or the port is free, whichever comes first.
 */
import type { Holder } from '../model/facts.ts';
import type { ActResult } from '../model/step.ts';
import type { Os } from '../os/os.ts';
import type { ProcessHandle } from '../os/processes.ts';
import { askToEnd, kill } from './end.ts';
import { type Lock, lockProcess } from './lock.ts';
import { openSleep } from './sleep.ts';

export interface StopContext {
  readonly os: Os;
  /** For the events of this port; null for a Unix socket. */
  readonly port: { readonly protocol: 'tcp' | 'udp'; readonly port: number } | null;
  /** How long a process may take to end by itself. */
  readonly graceMs: number;
  /** SIGKILL for processes that are still running after that. */
  readonly force: boolean;
  /** SIGKILL at once, for a process that answers SIGTERM by handing the socket to a new process. */
  readonly withoutAsking: boolean;
  readonly uid: number;
  readonly signal: AbortSignal | undefined;
  /** The caller's own bind. */
  isFree(): boolean;
  /** Which of these have a blocker open now. Asked before every signal: since the look, time has passed. */
  stillHolding(holders: readonly Holder[]): readonly Holder[];
  /** Called when a wait begins. */
  onWaiting(pids: readonly number[], leftMs: number): void;
}

/** A process that is held on to, so that no other can be meant. */
interface Target {
  readonly holder: Holder;
  readonly handle: ProcessHandle;
  lock: Lock | null;
  asked: boolean;
  denied: boolean;
}

/** SIGKILL leaves no choice: a process that is still there after this long sits in the kernel. */
const killMs = 5_000;
/** From the last descriptor to the end of a process it is milliseconds; who closes its server and then exits takes a few more. */
const endMs = 250;

/**
 * Stops processes: those that no other of them started come first, because a server takes its workers along.
 * The others are only asked when the port is not free afterwards.
 *
 * @param results What became of each, by pid; it is filled as far as things went also when this rejects.
 * @returns The same. Rejects with the signal's reason when it is aborted.
 */
export async function stopProcesses(
  holders: readonly Holder[],
  context: StopContext,
  results = new Map<number, ActResult>(),
): Promise<ReadonlyMap<number, ActResult>> {
  const targets: Target[] = [];
  try {
    // All of them before the first signal: afterwards a number may be another process.
    for (const holder of holders) {
      const handle = context.os.processes.open(holder);
      if (handle === null) results.set(holder.pid, { outcome: 'done', why: 'it had exited already' });
      else targets.push({ holder, handle, lock: null, asked: false, denied: false });
    }
    for (let rest = targets; rest.length > 0; ) {
      const first = withoutTheirChildren(rest);
      const free = await stopWave(first, context, results);
      rest = rest.filter((target) => !first.includes(target));
      const alive = rest.filter((target) => target.handle.isAlive());
      for (const { holder } of rest.filter((target) => !alive.includes(target)))
        results.set(holder.pid, { outcome: 'done', why: 'it exited with its parent' });
      rest = alive;
      const stuck = first.some((target) => results.get(target.holder.pid)?.outcome === 'failed');
      if (!free && !stuck) continue;
      const why = free ? 'the port is free without it' : 'its parent did not exit';
      for (const { holder } of rest) results.set(holder.pid, { outcome: 'skipped', why });
      break;
    }
    return results;
  } finally {
    for (const { handle, lock, holder, asked } of targets) {
      if (asked && !results.has(holder.pid)) results.set(holder.pid, leftAlone(handle));
      lock?.release();
      handle.close();
    }
  }
}

function withoutTheirChildren(targets: readonly Target[]): Target[] {
  const pids = new Set(targets.map((target) => target.holder.pid));
  const first = targets.filter((target) => !target.holder.parents.some((parent) => pids.has(parent.pid)));
  return first.length > 0 ? first : [...targets];
}

/** True when the port is free afterwards. */
async function stopWave(
  all: readonly Target[],
  context: StopContext,
  results: Map<number, ActResult>,
): Promise<boolean> {
  const wave = stillHolding(all, context);
  for (const target of all.filter((each) => !wave.includes(each))) results.set(target.holder.pid, letGo(target));
  for (const target of wave) ask(target, context);
  const asked = wave.filter((target) => !target.denied);
  for (const { holder } of wave.filter((target) => target.denied)) {
    results.set(holder.pid, { outcome: 'failed', why: `EPERM: this user may not signal a process of ${holder.user}` });
  }
  let { free, left } = await waitFor(asked, context.withoutAsking ? killMs : context.graceMs, context);
  const killed = new Set<Target>(context.withoutAsking ? asked : []);
  if (!free && left.length > 0 && context.force && !context.withoutAsking) {
    // It was asked by its identity; it is killed only when it still has the port.
    for (const target of stillHolding(left, context)) {
      if (kill(target.handle) === 'sent') killed.add(target);
    }
    const deadly = left.filter((target) => killed.has(target));
    const spared = left.filter((target) => !killed.has(target));
    ({ free, left } = await waitFor(deadly, killMs, context));
    left = [...left, ...spared];
  }
  if (free) await waitForEnd(asked, context);
  for (const target of asked) {
    results.set(target.holder.pid, resultOf(target, target.handle.isAlive(), free, killed.has(target), context));
  }
  return free || context.isFree();
}

function stillHolding(targets: readonly Target[], context: StopContext): Target[] {
  const holders = new Set(context.stillHolding(targets.map((target) => target.holder)));
  return targets.filter((target) => holders.has(target.holder));
}

/** Of a process that had got the signal when the work was interrupted. */
function leftAlone(handle: ProcessHandle): ActResult {
  return handle.isAlive()
    ? { outcome: 'failed', why: 'it got the signal, and was still running at the interruption' }
    : { outcome: 'done', why: null };
}

function letGo({ handle }: Target): ActResult {
  return handle.isAlive()
    ? { outcome: 'skipped', why: 'it released the port and is still running' }
    : { outcome: 'done', why: 'it had exited already' };
}

/**
 * The kernel closes the sockets of a process a moment before it has ended; who is in that moment is not "still running".
 * Returns as soon as all have ended.
 */
async function waitForEnd(targets: readonly Target[], { os, signal }: StopContext): Promise<void> {
  const deadline = performance.now() + endMs;
  for (;;) {
    const alive = targets.filter((target) => target.handle.isAlive()).map((target) => target.handle);
    const timeoutMs = deadline - performance.now();
    if (alive.length === 0 || timeoutMs <= 0) return;
    await os.events.wait({ processes: alive, timeoutMs, ...(signal !== undefined && { signal }) });
  }
}

function ask(target: Target, context: StopContext): void {
  target.asked = true;
  target.lock = lockProcess(context.os, target.handle.identity);
  // Another rebind asked it: only wait.
  if (target.lock === null) return;
  const outcome = context.withoutAsking
    ? kill(target.handle)
    : askToEnd(context.os, target.handle, { state: target.holder.processState });
  if (outcome === 'denied') target.denied = true;
}

function resultOf(target: Target, alive: boolean, free: boolean, killed: boolean, context: StopContext): ActResult {
  if (!alive) {
    if (context.withoutAsking) return { outcome: 'done', why: 'killed, because it handed the socket on after SIGTERM' };
    if (killed) return { outcome: 'done', why: `it did not exit within ${context.graceMs / 1000} s and was killed` };
    return { outcome: 'done', why: target.lock === null ? 'another rebind stopped it' : null };
  }
  if (free) return { outcome: 'done', why: 'it released the port and is still running' };
  if (killed) return { outcome: 'failed', why: 'it did not exit after SIGKILL: the kernel is busy on its behalf' };
  const hint = context.force ? '' : '; --force kills it';
  return { outcome: 'failed', why: `it is still running after ${context.graceMs / 1000} s${hint}` };
}

/** Until the port is free, every process has ended, or the time is over. */
async function waitFor(
  targets: readonly Target[],
  ms: number,
  context: StopContext,
): Promise<{ free: boolean; left: Target[] }> {
  const deadline = performance.now() + ms;
  const sleep = openSleep(context.os);
  let left = targets.filter((target) => target.handle.isAlive());
  while (left.length > 0) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return { free: context.isFree(), left };
    context.onWaiting(
      left.map((target) => target.holder.pid),
      leftMs,
    );
    const event = await sleep({
      processes: left.map((target) => target.handle),
      ...(context.port !== null && { port: context.port }),
      timeoutMs: leftMs,
      ...(context.signal !== undefined && { signal: context.signal }),
      ready: context.isFree,
    });
    if (event.kind === 'ready') return { free: true, left };
    left = left.filter((target) => target.handle.isAlive());
    // Where nothing tells of sockets, it was a short sleep.
    if (event.kind === 'timeout' && performance.now() >= deadline) return { free: context.isFree(), left };
  }
  return { free: context.isFree(), left };
}
