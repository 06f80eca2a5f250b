/**
 * Evidence in, report out. Pure: the causes come in as an argument, and their order is the order of decision: each excludes what follows.
 */
import { gentlestFirst } from '../advice.ts';
import type { Gap, Platform } from '../facts.ts';
import type { Manager } from '../managers.ts';
import type { Finding, Remedy } from '../verdict.ts';
import type { Evidence, NameEvidence } from './evidence.ts';
import { factsOf } from './fact.ts';
import { listenersOf } from './listeners.ts';
import { outcomeOf } from './outcome.ts';
import type { AddressQuestion, JudgedAddress, TargetQuestion } from './question.ts';
import type { AddressOutcome, Place, ReachedAddress, ReachReport } from './report.ts';

interface Judge {
  readonly id: string;
  readonly on: readonly Platform[];
  readonly at: Place;
  /** True for a cause that is worth saying although clients get through. */
  readonly getsThrough?: boolean;
  /** True for a cause that does not tell whether clients get through. */
  readonly leavesOpen?: boolean;
  /** True for what is said only where no other cause of the same address is found. */
  readonly alone?: boolean;
  say(args: object): string;
}

/** What the judge needs of a cause. Those of causes/connect/form.ts are ones. */
export type ReachCause = Judge &
  (
    | {
        readonly about: 'address';
        recognise(question: AddressQuestion): object | null;
        remedies(args: object, question: AddressQuestion): readonly Remedy[];
      }
    | {
        readonly about: 'target';
        recognise(question: TargetQuestion): object | null;
        remedies(args: object, question: TargetQuestion): readonly Remedy[];
      }
  );

/** What a cause finds: its id, its sentence and its own arguments. */
export type ReachFoundBy<C extends ReachCause> = C extends {
  readonly id: infer Id;
  recognise(question: never): infer Args;
}
  ? string extends Id
    ? Finding
    : { readonly cause: Id; readonly sentence: string; readonly args: Exclude<Args, null> }
  : never;

/** Everything that was seen of a target. */
export interface Seen extends Omit<TargetQuestion, 'addresses'> {
  /** In the order that a client tries the addresses. */
  readonly evidence: readonly Evidence[];
  /** What started the listeners, by pid. */
  readonly managers: ReadonlyMap<number, Manager>;
  /** What could not be seen beside what each address says. */
  readonly gaps: readonly Gap[];
}

interface Recognised {
  readonly rank: number;
  readonly at: Place;
  readonly getsThrough: boolean;
  readonly leavesOpen: boolean;
  readonly alone: boolean;
  readonly finding: Finding;
  readonly remedies: readonly Remedy[];
}

/** How far a connection got: of several addresses that fail, the one that got furthest says most. */
const distance: readonly AddressOutcome[] = [
  'not-tried',
  'failed',
  'refused',
  'no-answer',
  'reset',
  'accepted',
  'answered',
];

/** The verdict on one address, alone: for those that ask while they look. */
export function judgeAddress<C extends ReachCause>(question: AddressQuestion, causes: readonly C[]): Recognised[] {
  const found = causes.flatMap((cause, rank) => {
    if (cause.about !== 'address' || !cause.on.includes(question.platform)) return [];
    const args = cause.recognise(question);
    return args === null ? [] : [recognised(cause, rank, args, cause.remedies(args, question))];
  });
  const explained = found.filter(({ alone, getsThrough }) => !alone && !getsThrough);
  return explained.length > 0 ? found.filter(({ alone }) => !alone) : found;
}

/** The report on everything that was seen. */
export function judge<C extends ReachCause>(seen: Seen, causes: readonly C[]): ReachReport<ReachFoundBy<C>> {
  const judged = seen.evidence.map((evidence) => {
    const found = judgeAddress({ ...seen, evidence }, causes);
    return { evidence, found, ...outcomeOf(evidence), through: isThrough(evidence, found) };
  });
  const addresses: JudgedAddress[] = judged.map(({ evidence, found, outcome, errno, elapsedMs }) => ({
    address: addressOf(evidence),
    outcome,
    errno,
    elapsedMs,
    cause: found[0]?.finding.cause ?? null,
  }));
  const question: TargetQuestion = { ...seen, addresses };
  const about = causes.flatMap((cause, rank) => {
    if (cause.about !== 'target' || !cause.on.includes(seen.platform)) return [];
    const args = cause.recognise(question);
    return args === null ? [] : [recognised(cause, rank, args, cause.remedies(args, question))];
  });
  const reachable = isReachable(judged, about);
  // Of a target that answers only what is worth saying all the same; of one that does not, what stopped the address that got furthest.
  const furthest = reachable === true ? judged.find(({ through }) => through === true) : furthestOf(judged);
  const entries = [...about, ...(furthest?.found ?? [])]
    .filter(({ getsThrough }) => reachable !== true || getsThrough)
    .sort((a, b) => a.rank - b.rank);
  const [verdict = null, ...also] = entries.map(({ finding }) => finding) as ReachFoundBy<C>[];
  return {
    target: seen.target,
    reachable,
    errno: reachable === true ? null : (judged.find(({ errno }) => errno !== null)?.errno ?? seen.name?.errno ?? null),
    verdict,
    also,
    failsAt: reachable === true ? null : (entries[0]?.at ?? null),
    addresses: judged.map(({ evidence, found, outcome, errno, elapsedMs }) => {
      const [first = null, ...more] = found.map(({ finding }) => finding) as ReachFoundBy<C>[];
      return {
        address: addressOf(evidence),
        from: fromOf(evidence, seen.name),
        outcome,
        errno,
        elapsedMs,
        verdict: first,
        also: more,
        evidence: factsOf(evidence),
      } satisfies ReachedAddress<ReachFoundBy<C>>;
    }),
    listeners: listenersOf(seen.evidence, seen.managers),
    plan: gentlestFirst(entries.flatMap(({ remedies }) => remedies)),
    gaps: gapsOf(seen),
  };
}

function recognised(cause: Judge, rank: number, args: object, remedies: readonly Remedy[]): Recognised {
  const finding = { cause: cause.id, sentence: cause.say(args), args: args as Finding['args'] };
  return {
    rank,
    at: cause.at,
    getsThrough: cause.getsThrough ?? false,
    leavesOpen: cause.leavesOpen ?? false,
    alone: cause.alone ?? false,
    finding,
    remedies,
  };
}

/** Null where nothing was tried and nothing was proved. */
function isThrough(evidence: Evidence, found: readonly Recognised[]): boolean | null {
  if (found.some(({ getsThrough, leavesOpen }) => !getsThrough && !leavesOpen)) return false;
  if (found.some(({ leavesOpen }) => leavesOpen)) return null;
  const { outcome } = outcomeOf(evidence);
  if (outcome === 'not-tried') return null;
  return outcome === 'answered' || outcome === 'accepted';
}

function isReachable(
  judged: readonly { readonly through: boolean | null }[],
  about: readonly Recognised[],
): boolean | null {
  if (judged.some(({ through }) => through === true)) return true;
  if (about.some(({ getsThrough }) => !getsThrough)) return false;
  if (judged.length === 0 || judged.some(({ through }) => through === null)) return null;
  return false;
}

function furthestOf<T extends { readonly outcome: AddressOutcome; readonly found: readonly Recognised[] }>(
  judged: readonly T[],
): T | undefined {
  const farness = ({ outcome, found }: T): number => distance.indexOf(outcome) * 2 + (found.length > 0 ? 1 : 0);
  return judged.reduce<T | undefined>(
    (best, one) => (best === undefined || farness(one) > farness(best) ? one : best),
    undefined,
  );
}

function addressOf(evidence: Evidence): string {
  return evidence.protocol === 'unix' ? evidence.path : evidence.endpoint.address;
}

function fromOf(evidence: Evidence, name: NameEvidence | null): 'hosts' | 'dns' | 'literal' {
  const address = addressOf(evidence);
  return name?.addresses.find((each) => each.address === address)?.from ?? 'literal';
}

function gapsOf({ evidence, gaps }: Seen): Gap[] {
  const all = [...gaps, ...evidence.flatMap((each) => each.gaps)];
  return [...new Map(all.map((gap) => [`${gap.what} ${gap.why}`, gap])).values()];
}
