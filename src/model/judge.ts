/**
 * Facts and the kernel's answer in, report out. Pure: the causes come in as an argument.
 *
 * The kernel is the judge of whether the bind works; the rules say which sockets block it. Where the two do not agree,
 * nothing is told but that: `unexplained`.
 */

import { plan } from './advice.ts';
import type { Request } from './endpoint.ts';
import { unprovenOn } from './evidence.ts';
import type { Facts, Holder, InetSocket, Platform, Probe } from './facts.ts';
import { type Manager, managers } from './managers.ts';
import { rulesFor } from './rules/index.ts';
import type { Prediction } from './rules/rules.ts';
import { adviceFor } from './systems/index.ts';
import type {
  Blocker,
  BlockerHolder,
  Candidate,
  Finding,
  HolderManager,
  Outcome,
  Question,
  Remedy,
  Report,
} from './verdict.ts';

/** What `judge` needs of a cause. A `Cause` of causes/cause.ts is one. */
export interface JudgeCause {
  readonly id: string;
  readonly on: readonly Platform[];
  recognise(question: Question): object | null;
  say(args: object): string;
  remedies(args: object, question: Question): readonly Remedy[];
}

/** What a cause finds: its id, its sentence and its own arguments. */
export type FoundBy<C extends JudgeCause> = C extends {
  readonly id: infer Id;
  recognise(question: Question): infer Args;
}
  ? string extends Id
    ? Finding
    : { readonly cause: Id; readonly sentence: string; readonly args: Exclude<Args, null> }
  : never;

/** The cause that is asked when the kernel and the rules disagree. */
const unexplained = 'unexplained';

/** What only the machine can tell beside facts and the kernel's answer; see the fields of `Question`. */
type Beside = Partial<Pick<Question, 'reusing' | 'doubts' | 'managers' | 'redirects'>>;

/** The question that causes look at: the blocking sockets, after what the kernel said. */
export function ask(request: Request, facts: Facts, probe: Probe | null, beside: Beside = {}): Question {
  const prediction = rulesFor(facts.platform)?.predict(request, facts) ?? null;
  const { candidates, bystanders } = prediction ?? suspects(request, facts);
  const predicted = prediction?.possible ?? null;
  const errno = probe === null ? likeliest(prediction, candidates) : probe.errno;
  const inUse = errno === 'EADDRINUSE';
  const settled = inUse ? settle(candidates, probe) : [];
  return {
    request,
    facts,
    probe,
    errno,
    blockers: settled,
    bystanders: errno === null ? withFreed(candidates, bystanders) : bystanders,
    behind: inUse || errno === null ? [] : candidates,
    predicted,
    reusing: beside.reusing ?? null,
    doubts: beside.doubts ?? new Map(),
    managers: beside.managers ?? new Map(),
    redirects: beside.redirects ?? [],
    advice: adviceFor(facts.platform),
    disagrees: probe !== null && predicted !== null && !predicted.includes(probe.errno),
  };
}

/** The report on a question. */
export function answer<C extends JudgeCause>(question: Question, causes: readonly C[]): Report<FoundBy<C>> {
  const { request, facts, errno } = question;
  const here = causes.filter((cause) => cause.on.includes(facts.platform));
  const recognised = here
    .filter((cause) => !question.disagrees || cause.id === unexplained)
    .flatMap((cause) => recognise(cause, question));
  // Something recognised is an explanation, so `unexplained` only ever stands alone.
  const explained = recognised.filter((entry) => entry.finding.cause !== unexplained);
  const entries = explained.length > 0 ? explained : recognised;
  const found = [...entries.map((entry) => entry.finding), ...findBehind(question, here, entries)];
  // Each has the id and the arguments of the cause that found it, which the list has lost.
  const [verdict = null, ...also] = found as FoundBy<C>[];
  return {
    endpoint: request.endpoint,
    options: request.options,
    bindable: bindable(question),
    errno,
    verdict,
    also,
    blockers: question.blockers.map((candidate) => blocker(candidate, question)),
    plan: plan(entries.flatMap(({ cause, args }) => cause.remedies(args, question))),
    gaps: [...facts.gaps, ...unprovenOn(facts.platform)],
  };
}

interface Recognised {
  readonly cause: JudgeCause;
  readonly args: object;
  readonly finding: Finding;
}

function recognise(cause: JudgeCause, question: Question): Recognised[] {
  const args = cause.recognise(question);
  if (args === null) return [];
  const finding = { cause: cause.id, sentence: cause.say(args), args: args as Finding['args'] };
  return [{ cause, args, finding }];
}

/**
 * EACCES and EADDRNOTAVAIL hide that the port is taken as well. What is behind them is said, but its remedies are not
 * part of the plan: ending somebody's server would not make the port bindable.
 */
function findBehind(question: Question, causes: readonly JudgeCause[], entries: readonly Recognised[]): Finding[] {
  if (question.disagrees || question.behind.every((candidate) => candidate.conflict !== 'yes')) return [];
  const next: Question = {
    ...question,
    probe: null,
    errno: 'EADDRINUSE',
    blockers: question.behind,
    behind: [],
    predicted: ['EADDRINUSE'],
  };
  const said = new Set(entries.map((entry) => entry.finding.cause));
  return causes
    .filter((cause) => cause.id !== unexplained && !said.has(cause.id))
    .flatMap((cause) => recognise(cause, next))
    .map((entry) => entry.finding);
}

/** Null when there was no probe and the rules allow more than one answer. */
export function bindable({ probe, predicted, errno, facts, request }: Question): boolean | null {
  if (probe !== null) return probe.errno === null;
  if (predicted === null) return null;
  const free = predicted.includes(null);
  // Of a bind that was not tried only a refusal is certain: a policy, or a socket that cannot be seen, may be in its way.
  const isTold = request.endpoint.protocol === 'unix' && (facts.unixFile !== null || !facts.unseen.sockets);
  return free && (predicted.length > 1 || !isTold) ? null : errno === null;
}

function likeliest(prediction: Prediction | null, candidates: readonly Candidate[]): Outcome {
  if (prediction !== null) return prediction.possible[0] ?? null;
  return candidates.length > 0 ? 'EADDRINUSE' : null;
}

/**
 * What the kernel's EADDRINUSE says about the sockets that only may block: when nothing blocks for certain and one is
 * left, it is that one; and where a listener blocks for certain, the connections of a busy server are not worth a "perhaps".
 * Without a kernel's answer nothing is settled.
 */
function settle(candidates: readonly Candidate[], probe: Probe | null): readonly Candidate[] {
  const [only] = candidates;
  if (probe === null || only === undefined) return candidates;
  if (candidates.length === 1) return [{ socket: only.socket, conflict: 'yes' }];
  const listens = candidates.some(({ socket, conflict }) => conflict === 'yes' && socket.state === 'LISTEN');
  return listens
    ? candidates.filter(({ socket, conflict }) => conflict === 'yes' || !isConnection(socket))
    : candidates;
}

function isConnection({ protocol, state }: Candidate['socket']): boolean {
  return protocol === 'tcp' && state !== 'LISTEN' && state !== 'BOUND';
}

/** The kernel let the bind pass, so nothing that was blamed blocks. */
function withFreed(candidates: readonly Candidate[], bystanders: readonly InetSocket[]): readonly InetSocket[] {
  const freed = candidates.map((candidate) => candidate.socket).filter((socket) => socket.protocol !== 'unix');
  return [...freed, ...bystanders];
}

function suspects({ endpoint }: Request, facts: Facts): Pick<Prediction, 'candidates' | 'bystanders'> {
  const sockets = facts.sockets.filter(
    (socket) =>
      socket.protocol === endpoint.protocol &&
      (socket.protocol === 'unix' || endpoint.protocol === 'unix' || socket.local.port === endpoint.port),
  );
  return { candidates: sockets.map((socket) => ({ socket, conflict: 'maybe' as const })), bystanders: [] };
}

function blocker({ socket, conflict }: Candidate, question: Question): Blocker {
  const unix = socket.protocol === 'unix';
  const { facts } = question;
  return {
    protocol: socket.protocol,
    state: socket.state,
    local: unix ? { address: socket.path, port: 0 } : socket.local,
    remote: unix ? null : socket.remote,
    uid: socket.uid,
    inode: socket.inode,
    expiresInMs: unix ? null : socket.expiresInMs,
    certain: conflict === 'yes',
    holders: (facts.holders.get(socket.inode) ?? []).map((each) =>
      reportedHolder(each, question.managers.get(each.pid) ?? null),
    ),
  };
}

/** A holder in the shape of the report. */
export function reportedHolder(from: Holder, manager: Manager | null): BlockerHolder {
  return {
    pid: from.pid,
    descriptors: from.descriptors,
    command: from.command,
    argv: from.argv,
    cwd: from.cwd,
    user: from.user,
    startedAt: new Date(from.startedAtMs).toISOString(),
    parents: from.parents.map(({ pid, command }) => ({ pid, command })),
    unit: from.unit,
    container: containerOf(from, manager),
    manager: managerOf(manager),
  };
}

/** With the name that only its engine knows. */
function containerOf({ container }: Holder, manager: Manager | null): Holder['container'] {
  if (container === null || container.name !== null || manager === null || !manager.confirmed) return container;
  return managers[manager.kind].runs === 'the container' ? { ...container, name: manager.name } : container;
}

/** A manager in the shape of the report. */
function managerOf(manager: Manager | null): HolderManager | null {
  if (manager === null) return null;
  return { kind: manager.kind, name: manager.name, pid: manager.pid, confirmed: manager.confirmed };
}
