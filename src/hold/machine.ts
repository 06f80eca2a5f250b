/**
 * What hold decides, as data: in each state, each event leads to one state and a list of orders. Nothing here waits,
 * reads a clock or touches a process. hold.ts carries the orders out, and what they lead to comes back as an event.
 */
import { failuresWith, waitAfter } from './crash-loop.ts';

/** What was asked for when hold was started. */
export interface Rules {
  /** The old generation serves until the new one is ready. */
  readonly overlap: boolean;
  /** An edit may restart, so that hold stays although nothing runs. */
  readonly watching: boolean;
  /** Crashes in a row that are followed by another start. */
  readonly mostFailures: number;
  /** At SIGTERM it goes on accepting for a while, and says that it is going. */
  readonly lameDuck: boolean;
}

/** A generation by its number, and the question that is answered when it is ready. */
export interface Run {
  readonly number: number;
  readonly ticket: number | null;
}

/** What follows when nothing is left of a generation that crashed. */
type After = 'close' | 'wait-for-edit' | 'start-again';

export type Situation =
  /** Nothing was started yet. */
  | { readonly kind: 'new' }
  /** A generation starts, and no other serves. `late`: it was not ready in time, and there is no other to fall back to. */
  | { readonly kind: 'starting'; readonly run: Run; readonly late: boolean }
  | { readonly kind: 'serving'; readonly run: Run }
  /** `run` serves, and `next` starts beside it. */
  | { readonly kind: 'trying'; readonly run: Run; readonly next: Run }
  /** The next one starts when nothing is left of `leaving`. */
  | { readonly kind: 'replacing'; readonly leaving: number; readonly ticket: number | null; readonly reason: string }
  /** The generation crashed, and what it left behind is stopped. */
  | { readonly kind: 'cleaning'; readonly crashed: number; readonly after: After }
  /** Between a crash and the next start. */
  | { readonly kind: 'pausing' }
  /** Nothing runs until somebody edits or asks. */
  | { readonly kind: 'idle' }
  /** It was asked to stop, and `run` goes on accepting until those who send it clients have noticed. */
  | { readonly kind: 'leaving'; readonly run: Run }
  /** Everything ends. */
  | { readonly kind: 'stopping' }
  | { readonly kind: 'over' };

export interface State {
  readonly now: Situation;
  /** The number that was given last. */
  readonly last: number;
  readonly everServed: boolean;
  /** Crashes in a row. */
  readonly failures: number;
  /** Generations that drain, the oldest first. */
  readonly draining: readonly number[];
}

export type Event =
  /** `ticket` is answered exactly once; null for the first start, about which nobody asks. */
  | { readonly kind: 'restart'; readonly ticket: number | null; readonly reason: string }
  | { readonly kind: 'ready'; readonly number: number }
  /** It is not ready within the time that it had. */
  | { readonly kind: 'late'; readonly number: number }
  /** Its own process exited. `servedMs` is null when it was never ready, `ok` is status 0. */
  | { readonly kind: 'exited'; readonly number: number; readonly ok: boolean; readonly servedMs: number | null }
  /** The system did not let it start. */
  | { readonly kind: 'unstartable'; readonly number: number }
  /** No process of it is left. */
  | { readonly kind: 'gone'; readonly number: number }
  | { readonly kind: 'pause-over' }
  | { readonly kind: 'lame-duck-over' }
  | { readonly kind: 'stop'; readonly signal: NodeJS.Signals }
  /** Of all generations nothing is left. */
  | { readonly kind: 'all-gone' };

export type Outcome = 'done' | 'refused' | 'superseded';
/** Why it was not `done`. */
export type Because = 'ready' | 'newer' | 'stopping' | 'exit' | 'late' | 'unstartable';

export type Order =
  | { readonly order: 'start'; readonly number: number; readonly reason: string }
  /** Let its connections end, then end it. */
  | { readonly order: 'drain'; readonly number: number }
  /** End one that never became ready. */
  | { readonly order: 'discard'; readonly number: number; readonly as: 'refused' | 'superseded' }
  /** End what a crashed one left behind. */
  | { readonly order: 'clean'; readonly number: number }
  | { readonly order: 'kill'; readonly number: number }
  | { readonly order: 'kill-all' }
  /** `signal` is null when the command is done: what still drains has the grace. */
  | { readonly order: 'end-all'; readonly signal: NodeJS.Signals | null }
  /** Say that it is going, and tell when the time for that is over. */
  | { readonly order: 'say-farewell' }
  | { readonly order: 'pause'; readonly ms: number }
  | { readonly order: 'cancel-pause' }
  | {
      readonly order: 'answer';
      readonly ticket: number;
      readonly outcome: Outcome;
      readonly number: number | null;
      readonly because: Because;
    }
  | { readonly order: 'tell-ready'; readonly number: number }
  | { readonly order: 'tell-late'; readonly number: number }
  | {
      readonly order: 'tell-refused';
      readonly number: number;
      readonly because: Because;
      readonly serving: number | null;
    }
  | { readonly order: 'tell-crash'; readonly number: number; readonly againInMs: number | null }
  /** Close the sockets. The status is that of this generation; null: of the signal that stopped hold. */
  | { readonly order: 'let-go' };

export interface Step {
  readonly state: State;
  readonly orders: readonly Order[];
}

/** Generations that may drain at the same time; when there are more, the oldest is killed. */
export const mostDraining = 4;

export const initial: State = { now: { kind: 'new' }, last: 0, everServed: false, failures: 0, draining: [] };

/** The next state, and what is to be done. Events that mean nothing in a state change nothing. */
export function step(state: State, event: Event, rules: Rules): Step {
  switch (event.kind) {
    case 'restart':
      return restart(state, event, rules);
    case 'ready':
      return ready(state, event.number);
    case 'late':
      return late(state, event.number);
    case 'exited':
      return exited(state, event, rules);
    case 'unstartable':
      return unstartable(state, event.number, rules);
    case 'gone':
      return gone(state, event.number);
    case 'pause-over':
      return state.now.kind === 'pausing' ? start(state, null, 'crash') : same(state);
    case 'lame-duck-over':
      return state.now.kind === 'leaving' ? stopNow(state, 'SIGTERM') : same(state);
    case 'stop':
      return stop(state, event.signal, rules);
    case 'all-gone':
      if (state.now.kind !== 'stopping') return same(state);
      return to({ ...state, draining: [] }, { kind: 'over' }, [{ order: 'let-go' }]);
  }
}

/** The generation that serves, or is meant to. */
export function currentOf({ now }: State): number | null {
  return now.kind === 'starting' || now.kind === 'serving' || now.kind === 'trying' || now.kind === 'leaving'
    ? now.run.number
    : null;
}

/** The generation that starts beside it. */
export function nextOf({ now }: State): number | null {
  return now.kind === 'trying' ? now.next.number : null;
}

function restart(state: State, { ticket, reason }: Event & { kind: 'restart' }, rules: Rules): Step {
  const { now } = state;
  switch (now.kind) {
    case 'new':
    case 'idle':
      return start(state, ticket, reason);
    case 'pausing':
      return start(state, ticket, reason, [{ order: 'cancel-pause' }]);
    case 'starting':
      // One that never served is not worth waiting beside.
      return to(state, { kind: 'replacing', leaving: now.run.number, ticket, reason }, [
        ...answer(now.run, 'superseded', 'newer'),
        { order: 'discard', number: now.run.number, as: 'superseded' },
      ]);
    case 'serving':
      if (!rules.overlap)
        return drain(state, now.run.number, { kind: 'replacing', leaving: now.run.number, ticket, reason }, []);
      return tryNext(state, now.run, ticket, reason, []);
    case 'trying':
      return tryNext(state, now.run, ticket, reason, [
        ...answer(now.next, 'superseded', 'newer'),
        { order: 'discard', number: now.next.number, as: 'superseded' },
      ]);
    case 'replacing':
      return to(state, { ...now, ticket, reason }, answer({ number: null, ticket: now.ticket }, 'superseded', 'newer'));
    case 'cleaning':
      return to(state, { kind: 'replacing', leaving: now.crashed, ticket, reason }, []);
    case 'leaving':
    case 'stopping':
    case 'over':
      return { state, orders: answer({ number: null, ticket }, 'refused', 'stopping') };
  }
}

function ready(state: State, number: number): Step {
  const { now } = state;
  const served = { ...state, everServed: true };
  const tell: Order = { order: 'tell-ready', number };
  if (now.kind === 'starting' && now.run.number === number)
    return to(served, { kind: 'serving', run: { number, ticket: null } }, [tell, ...answer(now.run, 'done', 'ready')]);
  if (now.kind === 'trying' && now.next.number === number)
    return drain(served, now.run.number, { kind: 'serving', run: { number, ticket: null } }, [
      tell,
      ...answer(now.next, 'done', 'ready'),
    ]);
  return same(state);
}

function late(state: State, number: number): Step {
  const { now } = state;
  if (now.kind === 'starting' && now.run.number === number && !now.late)
    return to(state, { kind: 'starting', run: { number, ticket: null }, late: true }, [
      { order: 'tell-late', number },
      ...answer(now.run, 'refused', 'late'),
    ]);
  if (now.kind === 'trying' && now.next.number === number) return refuse(state, now, 'late');
  return same(state);
}

function exited(state: State, event: Event & { kind: 'exited' }, rules: Rules): Step {
  const { now } = state;
  const { number, ok, servedMs } = event;
  if (now.kind === 'trying' && now.next.number === number) return refuse(state, now, 'exit');
  if (currentOf(state) !== number) return same(state);
  // It has ended by itself while it was to leave: that is its end.
  if (now.kind === 'leaving') return stopNow(state, null);
  const failures = failuresWith(state.failures, servedMs ?? 0);
  const counted = { ...state, failures };
  const clean: Order = { order: 'clean', number };
  // The one that was to take over starts already.
  if (now.kind === 'trying')
    return to(counted, { kind: 'starting', run: now.next, late: false }, [
      { order: 'tell-crash', number, againInMs: 0 },
      clean,
    ]);
  const isDone = !rules.watching && (ok || !state.everServed);
  const givesUp = rules.watching ? ok || servedMs === null : failures > rules.mostFailures;
  // A port that hangs is worse than one that refuses: without an edit to wait for, hold lets go.
  const after: After = isDone || (givesUp && !rules.watching) ? 'close' : givesUp ? 'wait-for-edit' : 'start-again';
  const againInMs = after === 'start-again' ? waitAfter(failures) : null;
  // Also when all is over: nothing else would say that it never served.
  const tell: Order[] = isDone && servedMs !== null ? [] : [{ order: 'tell-crash', number, againInMs }];
  const asked = now.kind === 'starting' ? answer(now.run, 'refused', 'exit') : [];
  return to(counted, { kind: 'cleaning', crashed: number, after }, [...tell, ...asked, clean]);
}

/** What the system refuses today it may allow in a moment, so this never makes hold give up what it held before. */
function unstartable(state: State, number: number, rules: Rules): Step {
  const { now } = state;
  if (now.kind === 'trying' && now.next.number === number) return refuse(state, now, 'unstartable');
  if (now.kind !== 'starting' || now.run.number !== number) return same(state);
  const orders: Order[] = [
    { order: 'tell-refused', number, because: 'unstartable', serving: null },
    ...answer(now.run, 'refused', 'unstartable'),
    { order: 'clean', number },
  ];
  if (!state.everServed)
    return to(state, { kind: 'cleaning', crashed: number, after: rules.watching ? 'wait-for-edit' : 'close' }, orders);
  // Never at once: it would be refused again.
  const failures = Math.max(2, state.failures + 1);
  return to({ ...state, failures }, { kind: 'cleaning', crashed: number, after: 'start-again' }, orders);
}

function gone(before: State, number: number): Step {
  const state = { ...before, draining: before.draining.filter((one) => one !== number) };
  const { now } = state;
  if (now.kind === 'replacing' && now.leaving === number) return start(state, now.ticket, now.reason);
  if (now.kind !== 'cleaning' || now.crashed !== number) return same(state);
  if (now.after === 'close') return to(state, { kind: 'stopping' }, [{ order: 'end-all', signal: null }]);
  if (now.after === 'wait-for-edit') return to(state, { kind: 'idle' }, []);
  const ms = waitAfter(state.failures);
  return ms === 0 ? start(state, null, 'crash') : to(state, { kind: 'pausing' }, [{ order: 'pause', ms }]);
}

/** SIGTERM asks for an end that nobody notices; any other signal comes from somebody who waits for it. */
function stop(state: State, signal: NodeJS.Signals, rules: Rules): Step {
  const { now } = state;
  if (now.kind === 'over') return same(state);
  if (now.kind === 'stopping') return { state, orders: [{ order: 'kill-all' }] };
  if (!rules.lameDuck || signal !== 'SIGTERM') return stopNow(state, signal);
  if (now.kind === 'serving') return to(state, { kind: 'leaving', run: now.run }, [{ order: 'say-farewell' }]);
  if (now.kind === 'trying')
    return to(state, { kind: 'leaving', run: now.run }, [
      ...answer(now.next, 'refused', 'stopping'),
      { order: 'discard', number: now.next.number, as: 'superseded' },
      { order: 'say-farewell' },
    ]);
  return stopNow(state, signal);
}

function stopNow(state: State, signal: NodeJS.Signals | null): Step {
  const { now } = state;
  const open: readonly { readonly number: number | null; readonly ticket: number | null }[] =
    now.kind === 'starting'
      ? [now.run]
      : now.kind === 'trying'
        ? [now.next]
        : now.kind === 'replacing'
          ? [{ number: null, ticket: now.ticket }]
          : [];
  return to(state, { kind: 'stopping' }, [
    ...open.flatMap((run) => answer(run, 'refused', 'stopping')),
    ...(now.kind === 'pausing' ? [{ order: 'cancel-pause' } as const] : []),
    { order: 'end-all', signal },
  ]);
}

/** The next one was not ready: the old one goes on. */
function refuse(state: State, { run, next }: Situation & { kind: 'trying' }, because: Because): Step {
  return to(state, { kind: 'serving', run }, [
    { order: 'tell-refused', number: next.number, because, serving: run.number },
    { order: 'discard', number: next.number, as: 'refused' },
    ...answer(next, 'refused', because),
  ]);
}

function start(state: State, ticket: number | null, reason: string, first: readonly Order[] = []): Step {
  const number = state.last + 1;
  return to({ ...state, last: number }, { kind: 'starting', run: { number, ticket }, late: false }, [
    ...first,
    { order: 'start', number, reason },
  ]);
}

function tryNext(state: State, run: Run, ticket: number | null, reason: string, first: readonly Order[]): Step {
  const number = state.last + 1;
  return to({ ...state, last: number }, { kind: 'trying', run, next: { number, ticket } }, [
    ...first,
    { order: 'start', number, reason },
  ]);
}

function drain(state: State, number: number, now: Situation, first: readonly Order[]): Step {
  const draining = [...state.draining, number];
  const [oldest] = draining;
  const tooMany = draining.length > mostDraining && oldest !== undefined;
  return to({ ...state, draining }, now, [
    ...first,
    { order: 'drain', number },
    ...(tooMany ? [{ order: 'kill', number: oldest } as const] : []),
  ]);
}

function answer(
  { number, ticket }: { readonly number: number | null; readonly ticket: number | null },
  outcome: Outcome,
  because: Because,
): Order[] {
  return ticket === null ? [] : [{ order: 'answer', ticket, outcome, number, because }];
}

function to(state: State, now: Situation, orders: readonly Order[]): Step {
  return { state: { ...state, now }, orders };
}

function same(state: State): Step {
  return { state, orders: [] };
}
