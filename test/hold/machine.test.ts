/**
 * hold's decisions: every state with every event, and what must hold in whatever order events come.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  currentOf,
  type Event,
  initial,
  mostDraining,
  nextOf,
  type Order,
  type Rules,
  type Situation,
  type State,
  step,
} from '../../src/hold/machine.ts';

const plain: Rules = { overlap: true, watching: false, mostFailures: 2, lameDuck: false };
const lame: Rules = { ...plain, lameDuck: true };

/** Generation 1 is current, 2 is next, 3 drains; the next number is 4. */
const situations: Readonly<Record<Situation['kind'], Situation>> = {
  new: { kind: 'new' },
  starting: { kind: 'starting', run: { number: 1, ticket: 7 }, late: false },
  serving: { kind: 'serving', run: { number: 1, ticket: null } },
  trying: { kind: 'trying', run: { number: 1, ticket: null }, next: { number: 2, ticket: 7 } },
  replacing: { kind: 'replacing', leaving: 1, ticket: 7, reason: 'edit' },
  cleaning: { kind: 'cleaning', crashed: 1, after: 'start-again' },
  pausing: { kind: 'pausing' },
  idle: { kind: 'idle' },
  leaving: { kind: 'leaving', run: { number: 1, ticket: null } },
  stopping: { kind: 'stopping' },
  over: { kind: 'over' },
};

const events = {
  restart: { kind: 'restart', ticket: 8, reason: 'asked for' },
  ready: { kind: 'ready', number: 1 },
  'ready 2': { kind: 'ready', number: 2 },
  late: { kind: 'late', number: 1 },
  'late 2': { kind: 'late', number: 2 },
  crashed: { kind: 'exited', number: 1, ok: false, servedMs: 5_000 },
  'crashed 2': { kind: 'exited', number: 2, ok: false, servedMs: null },
  unstartable: { kind: 'unstartable', number: 1 },
  'unstartable 2': { kind: 'unstartable', number: 2 },
  gone: { kind: 'gone', number: 1 },
  'pause-over': { kind: 'pause-over' },
  'lame-duck-over': { kind: 'lame-duck-over' },
  stop: { kind: 'stop', signal: 'SIGTERM' },
  'all-gone': { kind: 'all-gone' },
} as const satisfies Readonly<Record<string, Event>>;

/**
 * State, event, the state after it, and the orders. A pair that is not here changes nothing and orders nothing.
 * `answer 7 superseded` is the question that the state has open, `answer 8` that of the event.
 */
const table: readonly (readonly [Situation['kind'], keyof typeof events, Situation['kind'], ...string[]])[] = [
  ['new', 'restart', 'starting', 'start 4'],
  ['new', 'stop', 'stopping', 'end-all'],

  ['starting', 'restart', 'replacing', 'answer 7 superseded', 'discard 1 superseded'],
  ['starting', 'ready', 'serving', 'tell-ready 1', 'answer 7 done'],
  ['starting', 'late', 'starting', 'tell-late 1', 'answer 7 refused'],
  ['starting', 'crashed', 'cleaning', 'tell-crash 1', 'answer 7 refused', 'clean 1'],
  ['starting', 'unstartable', 'cleaning', 'tell-refused 1', 'answer 7 refused', 'clean 1'],
  ['starting', 'stop', 'stopping', 'answer 7 refused', 'end-all'],

  ['serving', 'restart', 'trying', 'start 4'],
  ['serving', 'crashed', 'cleaning', 'tell-crash 1', 'clean 1'],
  ['serving', 'stop', 'stopping', 'end-all'],

  ['trying', 'restart', 'trying', 'answer 7 superseded', 'discard 2 superseded', 'start 4'],
  ['trying', 'ready 2', 'serving', 'tell-ready 2', 'answer 7 done', 'drain 1'],
  ['trying', 'late 2', 'serving', 'tell-refused 2', 'discard 2 refused', 'answer 7 refused'],
  ['trying', 'crashed', 'starting', 'tell-crash 1', 'clean 1'],
  ['trying', 'crashed 2', 'serving', 'tell-refused 2', 'discard 2 refused', 'answer 7 refused'],
  ['trying', 'unstartable 2', 'serving', 'tell-refused 2', 'discard 2 refused', 'answer 7 refused'],
  ['trying', 'stop', 'stopping', 'answer 7 refused', 'end-all'],

  ['replacing', 'restart', 'replacing', 'answer 7 superseded'],
  ['replacing', 'gone', 'starting', 'start 4'],
  ['replacing', 'stop', 'stopping', 'answer 7 refused', 'end-all'],

  ['cleaning', 'restart', 'replacing'],
  ['cleaning', 'gone', 'starting', 'start 4'],
  ['cleaning', 'stop', 'stopping', 'end-all'],

  ['pausing', 'restart', 'starting', 'cancel-pause', 'start 4'],
  ['pausing', 'pause-over', 'starting', 'start 4'],
  ['pausing', 'stop', 'stopping', 'cancel-pause', 'end-all'],

  ['idle', 'restart', 'starting', 'start 4'],
  ['idle', 'stop', 'stopping', 'end-all'],

  ['leaving', 'restart', 'leaving', 'answer 8 refused'],
  ['leaving', 'crashed', 'stopping', 'end-all'],
  ['leaving', 'lame-duck-over', 'stopping', 'end-all'],
  ['leaving', 'stop', 'stopping', 'end-all'],

  ['stopping', 'restart', 'stopping', 'answer 8 refused'],
  ['stopping', 'stop', 'stopping', 'kill-all'],
  ['stopping', 'all-gone', 'over', 'let-go'],

  ['over', 'restart', 'over', 'answer 8 refused'],
];

function stateOf(kind: Situation['kind'], change: Partial<State> = {}): State {
  return { now: situations[kind], last: 3, everServed: true, failures: 0, draining: [3], ...change };
}

function words(order: Order): string {
  if (order.order === 'answer') return `answer ${order.ticket} ${order.outcome}`;
  const number = 'number' in order ? ` ${order.number}` : '';
  return `${order.order}${number}${order.order === 'discard' ? ` ${order.as}` : ''}`;
}

for (const kind of Object.keys(situations) as Situation['kind'][])
  for (const name of Object.keys(events) as (keyof typeof events)[])
    test(`${kind}, ${name}`, () => {
      const row = table.find(([state, event]) => state === kind && event === name);
      const before = stateOf(kind);
      const { state, orders } = step(before, events[name], plain);
      if (row === undefined) {
        assert.deepEqual({ state, orders }, { state: before, orders: [] });
        return;
      }
      const [, , after, ...expected] = row;
      assert.deepEqual([state.now.kind, ...orders.map(words)], [after, ...expected]);
    });

test('with a lame duck SIGTERM lets the one that serves go on for a while, and every other signal does not', () => {
  const serving = step(stateOf('serving'), events.stop, lame);
  assert.deepEqual([serving.state.now.kind, ...serving.orders.map(words)], ['leaving', 'say-farewell']);
  const trying = step(stateOf('trying'), events.stop, lame);
  assert.deepEqual(
    [trying.state.now.kind, ...trying.orders.map(words)],
    ['leaving', 'answer 7 refused', 'discard 2 superseded', 'say-farewell'],
  );
  for (const kind of ['new', 'starting', 'replacing', 'cleaning', 'pausing', 'idle'] as const)
    assert.equal(step(stateOf(kind), events.stop, lame).state.now.kind, 'stopping', kind);
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT'] as const)
    assert.equal(step(stateOf('serving'), { kind: 'stop', signal }, lame).state.now.kind, 'stopping', signal);
});

test('without overlap the old one is gone before the next one starts', () => {
  const rules = { ...plain, overlap: false };
  const { state, orders } = step(stateOf('serving'), events.restart, rules);
  assert.deepEqual(orders.map(words), ['drain 1']);
  assert.deepEqual(step(state, events.gone, rules).orders.map(words), ['start 4']);
});

test('a generation that dies just after it was ready, while the old one drains, is replaced at once', () => {
  const { state } = step(stateOf('trying'), events['ready 2'], plain);
  const crash = step(state, { kind: 'exited', number: 2, ok: false, servedMs: 3 }, plain);
  assert.deepEqual(crash.orders[0], { order: 'tell-crash', number: 2, againInMs: 0 });
  assert.deepEqual(step(crash.state, { kind: 'gone', number: 2 }, plain).orders.map(words), ['start 4']);
});

test('a command that is done ends hold, and one that never served too; with a watch hold waits for an edit', () => {
  const done: Event = { kind: 'exited', number: 1, ok: true, servedMs: 9 };
  const failed: Event = { kind: 'exited', number: 1, ok: false, servedMs: null };
  for (const [event, change] of [
    [done, {}],
    [failed, { everServed: false }],
  ] as const)
    for (const watching of [false, true]) {
      const rules = { ...plain, watching };
      const { state } = step(stateOf('starting', change), event, rules);
      const { state: after, orders } = step(state, events.gone, rules);
      assert.equal(after.now.kind, watching ? 'idle' : 'stopping');
      assert.deepEqual(orders.map(words), watching ? [] : ['end-all']);
    }
});

test('what the system refuses to start is tried again, however often, once something was served', () => {
  let state = stateOf('starting');
  for (let number = 1; number < 30; number++) {
    const run = { number, ticket: null };
    state = { ...state, last: number, now: { kind: 'starting', run, late: false } };
    state = step(state, { kind: 'unstartable', number }, plain).state;
    const { state: paused, orders } = step(state, { kind: 'gone', number }, plain);
    assert.equal(orders[0]?.order, 'pause');
    state = step(paused, { kind: 'pause-over' }, plain).state;
    assert.equal(state.now.kind, 'starting');
  }
});

/** A world in which orders have consequences, in whatever order they come. */
const anyEvent = fc.oneof(
  fc.constantFrom<'restart' | 'stop'>('restart', 'restart', 'restart', 'stop'),
  fc.record({ life: fc.constantFrom('ready', 'late', 'crash', 'finish', 'unstartable'), pick: fc.nat(3) }),
  fc.record({ end: fc.nat(5) }),
  fc.constantFrom('pause-over' as const, 'lame-duck-over' as const),
);

test('in whatever order events come: one serves, the old one goes on when the next fails, every question has one answer', () => {
  fc.assert(
    fc.property(
      fc.array(anyEvent, { maxLength: 60 }),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      (script, overlap, watching, lameDuck) => {
        const rules: Rules = { overlap, watching, mostFailures: 3, lameDuck };
        let state = initial;
        const alive = new Map<number, { ready: boolean; leaving: boolean; exited: boolean }>();
        const asked = new Set<number>();
        let lastTicket = 0;
        let isPaused = false;
        let isEnding = false;
        let closed = 0;
        const send = (event: Event): void => {
          const before = state;
          const result = step(state, event, rules);
          state = result.state;
          for (const order of result.orders) {
            assert.equal(closed, 0, 'an order after the sockets were closed');
            if (order.order === 'start') {
              // The one that serves is never doubled: without overlap nothing of another one is current.
              if (!overlap)
                assert.ok(
                  [...alive.values()].every((one) => one.leaving),
                  'two at a time without overlap',
                );
              assert.ok(!alive.has(order.number));
              alive.set(order.number, { ready: false, leaving: false, exited: false });
            } else if (order.order === 'drain' || order.order === 'discard' || order.order === 'clean') {
              const one = alive.get(order.number);
              assert.ok(one !== undefined && !one.leaving, 'ended twice');
              one.leaving = true;
              if (order.order === 'drain' && overlap && before.now.kind === 'trying')
                assert.ok(alive.get(nextOf(before) ?? 0)?.ready, 'the old one left before the next one was ready');
              if (order.order === 'discard') assert.equal(one.ready, false, 'one that serves was discarded');
            } else if (order.order === 'answer') {
              assert.ok(asked.delete(order.ticket), 'a question answered twice');
            } else if (order.order === 'pause') isPaused = true;
            else if (order.order === 'cancel-pause') isPaused = false;
            else if (order.order === 'end-all') {
              // All are asked to stop: what becomes ready from now on serves nobody.
              isEnding = true;
              for (const one of alive.values()) one.leaving = true;
            } else if (order.order === 'let-go') {
              assert.equal(alive.size, 0, 'closed while processes are left');
              closed++;
            }
          }
          const servingNow = [...alive.values()].filter((one) => one.ready && !one.leaving && !one.exited);
          assert.ok(servingNow.length <= 1, 'two serve');
          assert.ok(state.draining.length <= mostDraining + 1);
          if (
            before.now.kind === 'trying' &&
            event.kind !== 'ready' &&
            'number' in event &&
            event.number === nextOf(before)
          )
            assert.equal(currentOf(state), currentOf(before), 'the old one goes on');
        };
        send({ kind: 'restart', ticket: null, reason: 'first start' });
        for (const one of script) {
          if (one === 'restart') {
            asked.add(++lastTicket);
            if (closed === 0) send({ kind: 'restart', ticket: lastTicket, reason: 'asked for' });
            else asked.delete(lastTicket);
          } else if (one === 'stop') {
            if (closed === 0) send({ kind: 'stop', signal: 'SIGTERM' });
          } else if (one === 'pause-over') {
            if (isPaused) {
              isPaused = false;
              send({ kind: 'pause-over' });
            }
          } else if (one === 'lame-duck-over') {
            if (state.now.kind === 'leaving') send({ kind: 'lame-duck-over' });
          } else if ('life' in one) {
            const [number, run] = [...alive][one.pick % Math.max(1, alive.size)] ?? [];
            if (number === undefined || run === undefined || run.exited) continue;
            if (one.life === 'ready' && !run.leaving && !run.ready) {
              run.ready = true;
              send({ kind: 'ready', number });
            } else if (one.life === 'late' && !run.ready) send({ kind: 'late', number });
            else if (one.life === 'crash' || one.life === 'finish') {
              run.exited = true;
              send({ kind: 'exited', number, ok: one.life === 'finish', servedMs: run.ready ? 2_000 : null });
            } else if (one.life === 'unstartable' && !run.ready) {
              run.exited = true;
              send({ kind: 'unstartable', number });
            }
          } else if (isEnding && closed === 0) {
            alive.clear();
            send({ kind: 'all-gone' });
          } else {
            const leaving = [...alive].filter(([, run]) => run.leaving);
            const [number] = leaving[one.end % Math.max(1, leaving.length)] ?? [];
            if (number === undefined) continue;
            alive.delete(number);
            send({ kind: 'gone', number });
          }
        }
        // Whatever came before, a stop ends it all, and nobody waits for an answer for ever.
        if (closed === 0) send({ kind: 'stop', signal: 'SIGTERM' });
        if (state.now.kind === 'leaving') send({ kind: 'lame-duck-over' });
        if (closed === 0) {
          alive.clear();
          send({ kind: 'all-gone' });
        }
        assert.equal(closed, 1);
        assert.equal(asked.size, 0);
      },
    ),
    { numRuns: 3_000 },
  );
});
