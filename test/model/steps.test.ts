import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Facts, Holder, InetSocket, Socket } from '../../src/model/facts.ts';
import { ask } from '../../src/model/judge.ts';
import { listenersOn } from '../../src/model/listeners-on.ts';
import type { Manager } from '../../src/model/managers.ts';
import type { PlannedStep, StepContext } from '../../src/model/step.ts';
import { isFutile, isPlainlySafe, planSteps } from '../../src/model/steps.ts';
import { facts, holder, port, request, settings, socket, unixFile, unixSocket } from './facts.ts';

const context: StepContext = {
  doubts: new Map(),
  graceMs: 10_000,
  timeoutMs: 0,
  force: false,
};
const root = { ...settings, mayAdministerNetwork: true };
const client = { address: '127.0.0.1', port: 50_000 };

function question(
  sockets: readonly Socket[],
  holders: readonly [number, Holder[]][] = [],
  over: Partial<Facts> = {},
  managers: ReadonlyMap<number, Manager> = new Map(),
) {
  const seen = facts({ sockets, holders: new Map(holders), ...over });
  return ask(request(), seen, { errno: 'EADDRINUSE', port }, { managers });
}

function plan(
  sockets: readonly Socket[],
  holders?: readonly [number, Holder[]][],
  over?: Partial<Facts>,
  more?: Partial<StepContext>,
): PlannedStep[] {
  return planSteps(question(sockets, holders, over), { ...context, ...more });
}

function words(steps: readonly PlannedStep[]): string[] {
  return steps.map(({ remedy, refusal }) => (refusal === null ? remedy : `${remedy}: ${refusal}`));
}

const manager: Manager = {
  kind: 'systemd',
  name: 'shop.service',
  pid: null,
  confirmed: true,
  unconfirmed: null,
  paused: false,
  part: null,
  order: {
    shown: 'systemctl stop shop.service',
    work: { kind: 'command', program: 'systemctl', args: ['stop', '--', 'shop.service'], uid: null },
  },
  process: null,
};

/** The plan where these processes have managers. */
function managed(holders: readonly Holder[], ...of: readonly Manager[]): PlannedStep[] {
  const managers = new Map(holders.map(({ pid }, index) => [pid, of[index] ?? manager]));
  return planSteps(question([socket({ reuseAddress: true })], [[7001, [...holders]]], {}, managers), context);
}

describe('the plan of free', () => {
  test('a bindable port needs nothing, and what no step can change has no steps', () => {
    const free = ask(request(), facts(), { errno: null, port });
    assert.deepEqual(planSteps(free, context), []);
    const notHere = ask(request({ address: '10.9.9.9' }), facts(), { errno: 'EADDRNOTAVAIL', port: null });
    assert.deepEqual(planSteps(notHere, context), []);
    const privileged = ask(request({ port: 80 }), facts(), { errno: 'EACCES', port: null });
    assert.deepEqual(planSteps(privileged, context), []);
  });

  test('a listener without SO_REUSEADDR is marked, then its holder is asked', () => {
    const steps = plan([socket()], [[7001, [holder()]]]);
    assert.deepEqual(words(steps), ['set-option', 'stop-process']);
    assert.ok(isPlainlySafe(steps));
  });

  test('a listener that has it already is only asked', () => {
    assert.deepEqual(words(plan([socket({ reuseAddress: true })], [[7001, [holder()]]])), ['stop-process']);
  });

  test('a holder of several blockers is asked once', () => {
    const second = socket({ inode: 7002, local: { address: '127.0.0.1', port } });
    const steps = plan(
      [socket({ reuseAddress: true }), second],
      [
        [7001, [holder()]],
        [7002, [holder()]],
      ],
    );
    assert.equal(steps.filter((step) => step.remedy === 'stop-process').length, 1);
  });

  for (const [who, pid, over] of [
    ['process 1', 1, {}],
    ['the asker', 50, {}],
    ['an ancestor of the asker', 49, {}],
  ] as const) {
    test(`${who} is never asked, not even with force`, () => {
      const asked = question([socket()], [[7001, [holder({ pid })]]], over);
      const steps = planSteps(asked, { ...context, force: true });
      assert.deepEqual(
        steps.map((step) => [step.remedy, step.refusal !== null]),
        [['stop-process', true]],
      );
      assert.ok(isFutile(asked, steps));
    });
  }

  test('a listener that no process of this machine has is left alone, and root is told why', () => {
    const asRoot = { asker: { pid: 50, uid: 0, user: 'root', cwd: '/', ancestors: [1], sudoUid: null, unit: null } };
    assert.match(words(plan([socket()], [], asRoot)).join(), /^stop-process: .*the kernel does/);
    assert.match(
      words(plan([socket({ uid: 0 })])).join(),
      /^stop-process: .*cannot be seen as user ann: run this as that user or as root/,
    );
  });

  test('what a manager runs is stopped by it, after a yes', () => {
    const steps = managed([holder(), holder({ pid: 42 })]);
    assert.deepEqual(words(steps), ['stop-unit']);
    assert.deepEqual(steps[0]?.target, { kind: 'manager', manager: 'systemd', name: 'shop.service', pids: [41, 42] });
    assert.ok(!isPlainlySafe(steps));
  });

  test('what only looks managed is asked to end itself, after a yes that says so', () => {
    const steps = managed([holder()], {
      ...manager,
      confirmed: false,
      unconfirmed: 'systemd knows no such unit',
      order: null,
    });
    assert.deepEqual(words(steps), ['stop-process']);
    assert.match(
      steps[0]?.doubt ?? '',
      /^it looks as if systemd runs it as shop.service \(systemd knows no such unit\)/,
    );
  });

  test('the engine and the forwarder of a container that nobody names are never ended', () => {
    for (const part of ['engine', 'forwarder'] as const) {
      const steps = managed([holder()], {
        ...manager,
        kind: 'docker',
        name: null,
        confirmed: false,
        part,
        order: null,
      });
      assert.match(words(steps).join(), /^stop-process: it (runs containers|holds the port)/);
    }
  });

  test('a watcher ends before its program, which goes with it', () => {
    const watcher = holder({ pid: 40, command: 'node', argv: ['node', 'nodemon', 'server.js'] });
    const steps = managed([holder()], {
      ...manager,
      kind: 'nodemon',
      name: null,
      pid: 40,
      order: null,
      process: watcher,
    });
    assert.deepEqual(
      steps.map(({ target }) => target.kind === 'process' && target.pid),
      [40, 41],
    );
    assert.ok(isPlainlySafe(steps));
    const run = managed([holder()], { ...manager, kind: 'jest', name: null, pid: 40, order: null, process: watcher });
    assert.ok(!isPlainlySafe(run), 'a test run that is at work is not stopped unasked');
  });

  test('what rebind hold keeps is left to hold', () => {
    const steps = managed([holder()], { ...manager, kind: 'hold', name: 'npm start', pid: 40, order: null });
    assert.match(words(steps).join(), /^stop-process: rebind hold \(pid 40\) keeps the port open for `npm start`/);
  });

  test('a client is refused, and cut only with force and the right to', () => {
    const outgoing = socket({ state: 'ESTABLISHED', remote: client, direction: 'outgoing', autoPort: true });
    const holders: [number, Holder[]][] = [[7001, [holder()]]];
    assert.match(words(plan([outgoing], holders)).join(), /^remove-leftovers: it is a client/);
    assert.match(words(plan([outgoing], holders, {}, { force: true })).join(), /CAP_NET_ADMIN/);
    assert.deepEqual(words(plan([outgoing], holders, { settings: root }, { force: true })), ['remove-leftovers']);
    assert.match(
      words(plan([{ ...outgoing, autoPort: false }], holders, { settings: root }, { force: true })).join(),
      /would hold it/,
    );
  });

  test('a connection to itself is a client, whichever end began it', () => {
    const self = socket({
      state: 'ESTABLISHED',
      local: client,
      remote: client,
      direction: 'incoming',
      autoPort: true,
    });
    const asked = ask(
      request({ port: client.port }),
      facts({ sockets: [self], holders: new Map([[7001, [holder()]]]) }),
      {
        errno: 'EADDRINUSE',
        port: client.port,
      },
    );
    assert.match(words(planSteps(asked, context)).join(), /it is a client/);
  });

  test('a connection of which nobody knows who began it is taken for a client, unless somebody listens', () => {
    const unknown = socket({ inode: 7003, state: 'ESTABLISHED', remote: client, autoPort: true });
    assert.match(words(plan([unknown], [[7003, [holder()]]])).join(), /it is a client/);
    const steps = plan(
      [unknown, socket()],
      [
        [7003, [holder()]],
        [7001, [holder()]],
      ],
    );
    assert.deepEqual(words(steps), ['set-option', 'stop-process']);
  });

  test('a client that chose the port itself is left alone, and --force is not offered, because it would not help', () => {
    const bound = socket({ inode: 7003, state: 'ESTABLISHED', remote: client, direction: 'outgoing', autoPort: false });
    for (const force of [false, true])
      assert.match(words(plan([bound], [[7003, [holder()]]], {}, { force })).join(), /it chose this port itself/);
  });

  test('a connection that was accepted and has outlived its listener is stopped with its process', () => {
    const accepted = socket({ state: 'ESTABLISHED', remote: client, direction: 'incoming' });
    assert.deepEqual(words(plan([accepted], [[7001, [holder()]]])), ['set-option', 'stop-process']);
  });

  test('leftovers: near ends are waited for, root removes, others wait as long as they may', () => {
    const left = (expiresInMs: number): InetSocket =>
      socket({ state: 'TIME_WAIT', inode: 0, mini: true, uid: 0, remote: client, expiresInMs });
    assert.deepEqual(words(plan([left(900)])), ['wait']);
    assert.deepEqual(words(plan([left(900)], [], { settings: root })), ['wait']);
    assert.deepEqual(words(plan([left(40_000)], [], { settings: root })), ['remove-leftovers']);
    assert.match(words(plan([left(40_000)])).join(), /^wait: it takes longer than a second: give --timeout 40s/);
    const patient = plan([left(40_000), left(30_000)], [], {}, { timeoutMs: 60_000 });
    assert.deepEqual(words(patient), ['wait']);
    assert.match(patient[0]?.sentence ?? '', /^Wait 40 s until the kernel removes 2 connections$/);
  });

  test('an orphan without a known end cannot be waited for', () => {
    const orphan = socket({ state: 'FIN_WAIT1', inode: 0, remote: client });
    assert.match(words(plan([orphan], [], {}, { timeoutMs: 1e9 })).join(), /^remove-leftovers: .*CAP_NET_ADMIN/);
  });

  test('a connection that waits to be accepted goes with its listener', () => {
    const queued = socket({ state: 'ESTABLISHED', inode: 0, remote: client });
    assert.deepEqual(words(plan([socket(), queued], [[7001, [holder()]]])), ['set-option', 'stop-process']);
  });

  test('a socket that only may block waits until those that do are gone', () => {
    const maybe = socket({
      state: 'TIME_WAIT',
      inode: 0,
      mini: true,
      reuseAddress: null,
      remote: client,
      expiresInMs: 50_000,
    });
    const steps = plan([socket({ reuseAddress: true }), maybe], [[7001, [holder()]]]);
    assert.deepEqual(words(steps), ['stop-process']);
  });

  test('without SO_REUSEADDR of its own, marking would not help the bind', () => {
    const strict = ask(
      request({}, { reuseAddress: false }),
      facts({ sockets: [socket()], holders: new Map([[7001, [holder()]]]) }),
      {
        errno: 'EADDRINUSE',
        port,
      },
    );
    assert.deepEqual(words(planSteps(strict, context)), ['stop-process']);
  });

  test('the file of a dead Unix socket is removed, that of another user after a yes, and nothing else ever', () => {
    const asked = (kind: 'socket' | 'directory' | 'other', uid: number, inUse: boolean | null = false) =>
      planSteps(
        ask(
          request({ protocol: 'unix', path: '/run/app' }),
          facts({ unixFile: unixFile({ kind, inode: 5, uid, inUse: kind === 'socket' ? inUse : null }) }),
          null,
        ),
        context,
      );
    assert.deepEqual(words(asked('socket', 1000)), ['remove-file']);
    assert.ok(isPlainlySafe(asked('socket', 1000)));
    assert.ok(!isPlainlySafe(asked('socket', 0)));
    for (const kind of ['directory', 'other'] as const)
      assert.ok(asked(kind, 1000).every((step) => step.refusal !== null));
    // What is open in another network namespace, or cannot be told, stays.
    for (const inUse of [true, null]) assert.ok(asked('socket', 1000, inUse).every((step) => step.refusal !== null));
  });
});

describe('who answers on an endpoint', () => {
  const reached = (wanted: string, local: string, over: Partial<InetSocket> = {}): boolean =>
    listenersOn({ protocol: 'tcp', address: wanted, port }, [socket({ local: { address: local, port }, ...over })])
      .length === 1;

  for (const [wanted, local, expected] of [
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '0.0.0.0', true],
    ['127.0.0.1', '::', true],
    ['127.0.0.1', '::ffff:127.0.0.1', true],
    ['127.0.0.1', '127.0.0.2', false],
    ['127.0.0.1', '::1', false],
    ['::1', '::', true],
    ['::1', '0.0.0.0', false],
    ['::', '127.0.0.1', true],
    ['0.0.0.0', '::1', true],
  ] as const) {
    test(`a listener on ${local} ${expected ? 'is' : 'is not'} reached at ${wanted}`, () => {
      assert.equal(reached(wanted, local), expected);
    });
  }

  test('an IPv6-only wildcard takes no IPv4, and only listeners count', () => {
    assert.equal(reached('127.0.0.1', '::', { v6Only: true }), false);
    assert.equal(reached('127.0.0.1', '127.0.0.1', { state: 'BOUND' }), false);
    assert.equal(reached('127.0.0.1', '127.0.0.1', { protocol: 'udp' }), false);
    assert.equal(
      listenersOn({ protocol: 'unix', path: '/run/app' }, [unixSocket(), unixSocket({ state: 'ESTABLISHED' })]).length,
      1,
    );
  });
});
