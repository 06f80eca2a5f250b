/**
 * Makes an endpoint bindable by the gentlest means that work, and proves it with the caller's own bind.
 */

import { type ActContext, act } from './act/act.ts';
import { inodes, type Respawn, returned, watchForReturn } from './act/respawn.ts';
import { isBindable } from './ask/bindable.ts';
import { look } from './ask/look.ts';
import { askManagers } from './ask/managers/ask.ts';
import {
  bindOptionNames,
  checkBindOptions,
  readEndpoint,
  resolveRequest,
  type WhyEndpoint,
  type WhyOptions,
} from './ask/request.ts';
import { causes, type Report, type Verdict } from './causes/bind/index.ts';
import { checkNames } from './check.ts';
import type { BindOptions, Endpoint, Request } from './model/endpoint.ts';
import type { Gap, Holder } from './model/facts.ts';
import { heldHere } from './model/held-here.ts';
import { answer, bindable } from './model/judge.ts';
import type { ActResult, PlannedStep, StepTarget } from './model/step.ts';
import { isFutile, isPlainlySafe, planSteps } from './model/steps.ts';
import { withNeeds } from './model/steps-needed.ts';
import type { Blocker, Question, Remedy, RemedyId } from './model/verdict.ts';
import { os as thisOs } from './os/index.ts';
import type { Os } from './os/os.ts';

/** How far `free` may go, and how long it may take. */
export interface FreeOptions extends Omit<WhyOptions, 'holders'> {
  /** How long a process may take to end after SIGTERM. @default 10_000 */
  readonly graceMs?: number;
  /** How long to wait for what only time removes. An end within a second is always waited for. @default 0 */
  readonly timeoutMs?: number;
  /** Kill who does not end within `graceMs`, and cut connections of clients that took the port. @default false */
  readonly force?: boolean;
  /** Also take steps that need confirmation: processes of other users, of other projects, services, containers. @default false */
  readonly yes?: boolean;
  /** Report the plan and touch nothing. @default false */
  readonly dryRun?: boolean;
  /** Asked to confirm such steps when `yes` is not set. @default steps that need confirmation are not taken */
  readonly confirm?: (steps: readonly FreeStep[]) => boolean | Promise<boolean>;
  /** Told what is happening. What it throws ends the work. */
  readonly onProgress?: (progress: FreeProgress) => void;
}

/** What `free` is doing: the plan, a step that is over, or what it waits for. */
export type FreeProgress =
  | { readonly kind: 'plan'; readonly steps: readonly FreeStep[] }
  | { readonly kind: 'step'; readonly step: FreeStep }
  | {
      readonly kind: 'waiting';
      readonly waiting:
        | { readonly for: 'exit'; readonly pids: readonly number[]; readonly leftMs: number }
        | { readonly for: 'expiry'; readonly leftMs: number };
    };

/** One step, and what became of it. */
export interface FreeStep {
  readonly remedy: RemedyId;
  /** What it does, one sentence without a full stop. */
  readonly sentence: string;
  readonly target: StepTarget;
  /** `skipped`: not needed, or only planned. `refused`: never tried. */
  readonly outcome: 'done' | 'failed' | 'skipped' | 'refused';
  /** The reason of everything but a plain `done`. */
  readonly why: string | null;
  /** Why somebody should say yes to it, or null. */
  readonly doubt: string | null;
  /** True when a step before it may be enough; then it is left out. */
  readonly onlyIfNeeded: boolean;
}

/** The answer of `free`. */
export interface FreeReport {
  readonly endpoint: Endpoint;
  readonly options: BindOptions;
  /** Null when it could not be told. */
  readonly bindable: boolean | null;
  readonly errno: string | null;
  /** Why it was blocked when `free` was called when it is bindable now, else why it still is; null when it was never blocked. */
  readonly verdict: Verdict | null;
  /** What blocks it still. Empty when bindable. */
  readonly blockers: readonly Blocker[];
  readonly steps: readonly FreeStep[];
  /** What would help besides. Empty when bindable. */
  readonly plan: readonly Remedy[];
  /** Somebody who took the port again within two seconds, or null. */
  readonly respawn: Respawn | null;
  readonly gaps: readonly Gap[];
  readonly elapsedMs: number;
}

/** The `why` of a step that would be carried out without `dryRun`. */
export const onlyPlanned = 'nothing is done with --dry-run';

const optionNames = [
  ...bindOptionNames,
  ...Object.keys({
    graceMs: true,
    timeoutMs: true,
    force: true,
    yes: true,
    dryRun: true,
    confirm: true,
    onProgress: true,
  } satisfies Record<keyof Omit<FreeOptions, keyof WhyOptions>, true>),
];

const defaultGraceMs = 10_000;

/** Who has handed the socket to a new process this often when asked is killed at once with `force`. */
const politeRounds = 3;

/** What `free` learns anew in one round is acted on in the next; a program that forks faster ends here. */
const mostRounds = 20;

/**
 * Makes an endpoint bindable: waits, asks managers and processes to stop, removes what nobody owns. Never touches clients of the port,
 * the caller, its ancestors or process 1. Resolves when the caller's own bind would succeed, or nothing more may be done.
 *
 * @throws {TypeError} {RangeError} {UnsupportedError} as `why` does. Rejects with the signal's reason when it is aborted.
 * @example
 * ```ts
 * const report = await free(3000);
 * if (!report.bindable) console.error(report.verdict?.sentence, report.steps);
 * ```
 */
export async function free(endpoint: WhyEndpoint, options: FreeOptions = {}): Promise<FreeReport> {
  // Monotonic as performance.now() is, whose module takes a millisecond to load.
  const startedAt = process.uptime();
  checkNames('free()', options, optionNames);
  options.signal?.throwIfAborted();
  const parsed = readEndpoint(endpoint);
  checkBindOptions(options);
  checkFreeOptions(options);
  const os = thisOs();
  const request = await resolveRequest(parsed, options, os);
  const steps: FreeStep[] = [];
  const { report, respawn } = await makeFree(os, request, options, steps);
  return {
    endpoint: request.endpoint,
    options: request.options,
    bindable: report.bindable,
    errno: report.errno,
    verdict: report.verdict,
    blockers: report.bindable === true ? [] : report.blockers,
    steps,
    plan: report.bindable === true ? [] : report.plan,
    respawn,
    gaps: report.gaps,
    elapsedMs: Math.round((process.uptime() - startedAt) * 1000),
  };
}

interface End {
  readonly report: Report;
  readonly respawn: Respawn | null;
}

/** Rounds of looking, planning and acting: what one round learns, the next acts on. */
async function makeFree(os: Os, request: Request, options: FreeOptions, steps: FreeStep[]): Promise<End> {
  const record = (step: PlannedStep, result: ActResult): void => {
    const entry = reported(step, result);
    steps.push(entry);
    options.onProgress?.({ kind: 'step', step: entry });
  };
  // Every process is looked into: a plan that learned of a holder only later would not be what somebody said yes to.
  const lookAround = (): Promise<Question> => askManagers(os, look(request, os, 'all'), options);
  const first = await lookAround();
  if (first.errno === null) return { report: answer(first, causes), respawn: null };
  // A server that is started here gets the held socket, so nothing is in its way.
  if (heldHere(first) !== null)
    return { report: { ...answer(first, causes), bindable: true, errno: null }, respawn: null };
  const tried = new Set<string>();
  const known = inodes(first.facts.sockets);
  const stopped: Holder[] = [];
  for (let question = first, round = 1; ; question = await lookAround(), round++) {
    if (question.errno === null) {
      if (bindable(question) === true) break;
      return { report: answer(question, causes), respawn: null };
    }
    const respawn = returned(question, known, stopped, os);
    if (respawn !== null) return { report: answer(question, causes), respawn };
    const all = plan(question, options).map((step) => sparingNewcomers(step, known));
    const fresh = all.filter((step) => !tried.has(keyOf(step)));
    for (const inode of inodes(question.facts.sockets)) known.add(inode);
    options.onProgress?.({ kind: 'plan', steps: fresh.map((step) => reported(step, planned(step))) });
    const veto = await vetoOf(question, fresh, options, round);
    if (veto !== null || fresh.length === 0) {
      for (const step of fresh) record(step, veto === null ? planned(step) : veto(step));
      return { report: answer(question, causes), respawn: null };
    }
    const allowed = fresh.filter((step) => step.refusal === null);
    for (const step of fresh.filter((each) => each.refusal !== null)) record(step, planned(step));
    for (const step of fresh) tried.add(keyOf(step));
    stopped.push(...holdersOf(allowed, question));
    await act(allowed, actContext(os, request, options, question, round), (result) => record(result.step, result));
    if (isBindable(os, request) === true) {
      const again = await watchForReturn(os, question, stopped, () => look(request, os, 'likely'), options.signal);
      if (again !== null) return { report: answer(look(request, os, 'likely'), causes), respawn: again };
      break;
    }
  }
  return { report: { ...answer(first, causes), bindable: true, errno: null }, respawn: null };
}

/** A client that got the port after this began was in no plan that anybody saw, and may be anybody's: it is not cut, not even with force. */
function sparingNewcomers(step: PlannedStep, known: ReadonlySet<number>): PlannedStep {
  if (step.work.kind !== 'destroy' || step.refusal !== null) return step;
  const isNew = step.work.sockets.some((socket) => socket.inode !== 0 && !known.has(socket.inode));
  return isNew ? { ...step, refusal: 'it is a client that got the port only now' } : step;
}

function plan(question: Question, options: FreeOptions): PlannedStep[] {
  if (question.errno !== 'EADDRINUSE') return [];
  const steps = planSteps(question, {
    doubts: question.doubts,
    graceMs: options.graceMs ?? defaultGraceMs,
    timeoutMs: options.timeoutMs ?? 0,
    force: options.force ?? false,
  });
  return withNeeds(question, steps);
}

/** Why none of these steps may be carried out, said of each of them; null when the work may begin. */
async function vetoOf(
  question: Question,
  steps: readonly PlannedStep[],
  options: FreeOptions,
  round: number,
): Promise<((step: PlannedStep) => ActResult) | null> {
  const all =
    (outcome: FreeStep['outcome'], why: string) =>
    (step: PlannedStep): ActResult =>
      step.refusal === null ? { outcome, why: why } : planned(step);
  if (steps.every((step) => step.refusal !== null)) return planned;
  if (isFutile(question, steps)) return all('skipped', 'it would not be enough');
  if (options.dryRun) return all('skipped', onlyPlanned);
  if (round > mostRounds) return all('refused', 'new processes take over the port faster than they can be stopped');
  if (isPlainlySafe(steps) || options.yes) return null;
  const entries = steps.map((step) => reported(step, planned(step)));
  if ((await options.confirm?.(entries)) === true) return null;
  const advice = options.confirm === undefined ? '; confirm with --yes' : ', and the answer was not yes';
  return (step) =>
    step.refusal === null && step.doubt !== null
      ? { outcome: 'refused', why: `${step.doubt}${advice}` }
      : all('skipped', 'it would not be enough')(step);
}

function actContext(os: Os, request: Request, options: FreeOptions, { facts }: Question, round: number): ActContext {
  return {
    os,
    request,
    graceMs: options.graceMs ?? defaultGraceMs,
    force: options.force ?? false,
    withoutAsking: options.force === true && round > politeRounds,
    uid: facts.asker.uid,
    signal: options.signal,
    isFree: () => isBindable(os, request) === true,
    stillHolding: (holders) => stillHolding(os, request, holders),
    onWaiting: (waiting) => options.onProgress?.({ kind: 'waiting', waiting }),
  };
}

/** Those who have a blocker open now. Every process is looked into only when the likely ones do not account for all of them. */
function stillHolding(os: Os, request: Request, holders: readonly Holder[]): readonly Holder[] {
  const among = (reach: 'likely' | 'all'): readonly Holder[] => {
    const { blockers, facts } = look(request, os, reach);
    const now = new Set(blockers.flatMap(({ socket }) => facts.holders.get(socket.inode) ?? []).map(identityOf));
    // What has no descriptor of it is the watcher of a process that has: it is stopped so that nothing comes back.
    return holders.filter((holder) => now.has(identityOf(holder)) || holder.descriptors.length === 0);
  };
  const likely = among('likely');
  return likely.length === holders.length ? likely : among('all');
}

function identityOf({ pid, started }: Holder): string {
  return `${pid} ${started}`;
}

/** Who ends by these steps. */
function holdersOf(steps: readonly PlannedStep[], { facts }: Question): Holder[] {
  const pids = new Set(steps.flatMap((step) => (step.target.kind === 'manager' ? step.target.pids : [])));
  const managed = [...facts.holders.values()].flat().filter((holder) => pids.has(holder.pid));
  return [...managed, ...steps.flatMap((step) => (step.work.kind === 'stop' ? [step.work.holder] : []))];
}

function planned(step: PlannedStep): ActResult {
  return step.refusal === null ? { outcome: 'skipped', why: null } : { outcome: 'refused', why: step.refusal };
}

function reported(
  { remedy, sentence, target, doubt, onlyIfNeeded = false }: PlannedStep,
  { outcome, why }: ActResult,
): FreeStep {
  return { remedy, sentence, target, outcome, why, doubt, onlyIfNeeded };
}

/** Equal for steps that do the same to the same. */
function keyOf({ remedy, target, work }: PlannedStep): string {
  const start = work.kind === 'stop' ? work.holder.started : '';
  return JSON.stringify([remedy, start, target]);
}

function checkFreeOptions(options: FreeOptions): void {
  for (const name of ['graceMs', 'timeoutMs'] as const) {
    const value: unknown = options[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') throw new TypeError(`${name} must be a number of milliseconds`);
    if (!(value >= 0)) throw new RangeError(`${name} must not be negative: received ${value}`);
  }
  for (const name of ['force', 'yes', 'dryRun'] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`${name} must be true or false`);
  }
  for (const name of ['confirm', 'onProgress'] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'function') throw new TypeError(`${name} must be a function`);
  }
}
