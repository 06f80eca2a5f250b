import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { causes } from '../../src/causes/bind/index.ts';
import { plan } from '../../src/model/advice.ts';
import type { Request } from '../../src/model/endpoint.ts';
import type { Facts, InetSocket, Probe, SocketState } from '../../src/model/facts.ts';
import { answer, ask, type JudgeCause } from '../../src/model/judge.ts';
import { type Question, type Remedy, type Report, remedyIds } from '../../src/model/verdict.ts';
import { at, facts, holder, port, request, settings, socket, unixFile, unixSocket } from './facts.ts';

/** The report on a request, as `why` puts it together. */
function judge(asked: Request, about: Facts, probe: Probe | null, causes: readonly JudgeCause[]): Report {
  return answer(ask(asked, about, probe), causes);
}

const inUse: Probe = { errno: 'EADDRINUSE', port };
const free: Probe = { errno: null, port };

function remedy(over: Partial<Remedy> = {}): Remedy {
  return { remedy: 'stop-process', sentence: 'Stop it', command: null, automatic: true, args: {}, ...over };
}

function stub(id: string, when: (question: Question) => boolean, remedies: Remedy[] = []): JudgeCause {
  return {
    id,
    on: ['linux'],
    recognise: (question) => (when(question) ? { blockers: question.blockers.length } : null),
    say: () => `${id} it is`,
    remedies: () => remedies,
  };
}

test('the first cause that recognises the question is the verdict, the others come along', () => {
  const listener = facts({ sockets: [socket()] });
  const known = [stub('a', () => false), stub('b', () => true), stub('c', () => true), stub('unexplained', () => true)];
  const report = judge(request(), listener, inUse, known);
  assert.deepEqual(report.verdict, { cause: 'b', sentence: 'b it is', args: { blockers: 1 } });
  assert.deepEqual(
    report.also.map((finding) => finding.cause),
    ['c'],
  );
  assert.equal(report.bindable, false);
  assert.equal(report.errno, 'EADDRINUSE');
});

test('unexplained is the verdict when no other cause recognises the question', () => {
  const report = judge(request(), facts({ sockets: [socket()] }), inUse, [stub('unexplained', () => true)]);
  assert.equal(report.verdict?.cause, 'unexplained');
});

test('where kernel and rules disagree, only unexplained is asked', () => {
  const known = [stub('a', () => true), stub('unexplained', (question) => question.disagrees)];
  const nobody = judge(request(), facts(), inUse, known);
  assert.equal(nobody.verdict?.cause, 'unexplained');
  assert.deepEqual(nobody.also, []);
  assert.equal(nobody.bindable, false);
  const letIn = judge(request(), facts({ sockets: [socket()] }), free, known);
  assert.equal(letIn.verdict?.cause, 'unexplained');
  assert.equal(letIn.bindable, true);
});

test('a cause of another platform is not asked', () => {
  const elsewhere = { ...stub('win', () => true), on: ['win32' as const] };
  assert.equal(judge(request(), facts({ sockets: [socket()] }), inUse, [elsewhere]).verdict, null);
});

test('one socket that may block is named when the kernel says that the port is in use', () => {
  const timeWait = socket({ state: 'TIME_WAIT', mini: true, inode: 0, reuseAddress: null, reusePort: null });
  const question = ask(request(), facts({ sockets: [timeWait] }), inUse);
  assert.deepEqual(question.blockers, [{ socket: timeWait, conflict: 'yes' }]);
  const two = ask(request(), facts({ sockets: [timeWait, timeWait] }), inUse);
  assert.deepEqual(
    two.blockers.map((candidate) => candidate.conflict),
    ['maybe', 'maybe'],
  );
  const { blockers } = judge(request(), facts({ sockets: [timeWait, timeWait] }), inUse, []);
  assert.deepEqual(
    blockers.map((blocker) => blocker.certain),
    [false, false],
  );
});

test('nothing that may block does when the kernel says that the port is free', () => {
  const timeWait = socket({ state: 'TIME_WAIT', mini: true, reuseAddress: null });
  const question = ask(request(), facts({ sockets: [timeWait] }), free);
  assert.deepEqual(question.blockers, []);
  assert.deepEqual(question.bystanders, [timeWait]);
  assert.equal(question.disagrees, false);
});

test('of a bind that was not tried only a refusal is certain', () => {
  const timeWait = socket({ state: 'TIME_WAIT', mini: true, reuseAddress: null });
  const answers: [InetSocket[], boolean | null, string | null][] = [
    [[], null, null],
    [[socket()], false, 'EADDRINUSE'],
    [[timeWait], null, 'EADDRINUSE'],
  ];
  for (const [sockets, bindable, errno] of answers) {
    const report = judge(request(), facts({ sockets }), null, []);
    assert.equal(report.bindable, bindable);
    assert.equal(report.errno, errno);
  }
});

test('on a platform without rules every socket on the port is a suspect, and the kernel alone decides', () => {
  const there = facts({ platform: 'win32', sockets: [socket(), socket({ protocol: 'udp' })] });
  const question = ask(request(), there, inUse);
  assert.equal(question.predicted, null);
  assert.equal(question.disagrees, false);
  assert.equal(question.blockers.length, 1);
  assert.equal(judge(request(), there, null, []).bindable, null);
});

test('who has a privileged port is told along with EACCES, but its remedies are not part of the plan', () => {
  const endpoint = { port: 80 };
  const there = facts({ sockets: [socket({ local: { address: '0.0.0.0', port: 80 } })] });
  const known = [
    stub('other-listener', (question) => question.blockers.length > 0, [remedy()]),
    stub('privileged-port', (question) => question.errno === 'EACCES', [remedy({ remedy: 'grant-privilege' })]),
  ];
  const report = judge(request(endpoint), there, { errno: 'EACCES', port: 80 }, known);
  assert.equal(report.verdict?.cause, 'privileged-port');
  assert.deepEqual(
    report.also.map((finding) => finding.cause),
    ['other-listener'],
  );
  assert.deepEqual(
    report.plan.map((step) => step.remedy),
    ['grant-privilege'],
  );
  assert.deepEqual(report.blockers, []);
});

test('a blocker carries its holders in the shape of the report', () => {
  const there = facts({ sockets: [socket({ inode: 5 })], holders: new Map([[5, [holder()]]]) });
  const [blocker] = judge(request(), there, inUse, []).blockers;
  assert.deepEqual(blocker?.holders, [
    {
      pid: 41,
      descriptors: [3],
      command: 'node',
      argv: ['node', 'server.js'],
      cwd: '/srv/shop',
      user: 'ann',
      startedAt: '2023-11-14T22:13:20.000Z',
      parents: [{ pid: 1, command: 'init' }],
      unit: null,
      container: null,
      manager: null,
    },
  ]);
});

test('a Unix socket as a blocker has its path as the address', () => {
  const there = facts({ sockets: [unixSocket()], unixFile: unixFile({ kind: 'socket', creatable: false }) });
  const report = judge(request({ protocol: 'unix', path: '/run/app' }), there, null, []);
  assert.deepEqual(report.blockers[0]?.local, { address: '/run/app', port: 0 });
  assert.equal(report.bindable, false);
});

test('plan() puts the gentlest first, keeps each remedy once, and of several waits the longest', () => {
  const steps = plan([
    remedy({ args: { pid: 1, at: 2 }, command: 'rebind free 3000' }),
    remedy({ args: { at: 2, pid: 1 }, command: 'rebind free 3000' }),
    remedy({ args: { pid: 2 }, command: 'rebind free 3000' }),
    remedy({ remedy: 'wait', args: { waitMs: 10 } }),
    remedy({ remedy: 'wait', args: { waitMs: 50 } }),
    remedy({ remedy: 'wait', args: { waitMs: 20 } }),
    remedy({ remedy: 'use-port' }),
  ]);
  assert.deepEqual(
    steps.map((step) => [step.remedy, step.args]),
    [
      ['wait', { waitMs: 50 }],
      ['use-port', {}],
      ['stop-process', { pid: 1, at: 2 }],
      ['stop-process', { pid: 2 }],
    ],
  );
});

// Properties: no facts, however odd, make judge throw, and what it says is consistent.

const flag = fc.constantFrom(true, false, null);
const address = fc.constantFrom(
  ...[
    '0.0.0.0',
    '127.0.0.1',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:0.0.0.0',
    'fe80::7',
    'fe80::7%eth0',
    '',
    'x',
    ':',
  ],
);
const state = fc.constantFrom<SocketState>(
  ...(['ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT1', 'FIN_WAIT2', 'TIME_WAIT', 'CLOSE_WAIT'] as const),
  ...(['LAST_ACK', 'LISTEN', 'CLOSING', 'BOUND'] as const),
);
const where = fc.record({ address, port: fc.constantFrom(0, 80, port, 65_535, -1) });
const text = fc.oneof(fc.string(), fc.constant('\u001b[31m\n'));
const anySocket: fc.Arbitrary<InetSocket> = fc.record({
  protocol: fc.constantFrom('tcp', 'udp'),
  family: fc.constantFrom(4, 6),
  state,
  local: where,
  remote: fc.option(where),
  uid: fc.nat(2),
  inode: fc.nat(3),
  cookie: fc.constant(null),
  mini: fc.boolean(),
  reuseAddress: flag,
  reusePort: flag,
  v6Only: flag,
  device: fc.constantFrom(null, 'lo', 'eth0'),
  autoPort: flag,
  expiresInMs: fc.option(fc.integer()),
  queue: fc.option(fc.record({ waiting: fc.nat(), limit: fc.nat() })),
  direction: fc.constantFrom('outgoing', 'incoming', null),
  cgroupId: fc.constant(null),
  mptcp: fc.boolean(),
});
const anyHolder = fc
  .record({ pid: fc.nat(), command: text, argv: fc.array(text), cwd: fc.option(text), unit: fc.option(text) })
  .map((over) => holder(over));
const anyUnixSocket = fc
  .record({ state: fc.constantFrom('LISTEN', 'ESTABLISHED', 'BOUND'), path: text, inode: fc.nat(3) })
  .map((over) => unixSocket(over as Parameters<typeof unixSocket>[0]));
const anyFacts: fc.Arbitrary<Facts> = fc
  .record({
    platform: fc.constantFrom('linux', 'linux', 'linux', 'darwin', 'win32'),
    kernel: fc.constantFrom('6.18.44', '6.1.0-18-amd64', '', 'x'),
    sockets: fc.array(fc.oneof(anySocket, anyUnixSocket), { maxLength: 6 }),
    holders: fc.array(fc.tuple(fc.nat(3), fc.array(anyHolder, { maxLength: 3 }))).map((entries) => new Map(entries)),
    unseen: fc.record({ sockets: fc.boolean(), processes: fc.boolean() }),
    standings: fc.constant(new Map()),
    unixFile: fc.option(
      fc.record({
        kind: fc.constantFrom('none', 'socket', 'directory', 'other'),
        inode: fc.option(fc.nat()),
        uid: fc.option(fc.nat()),
        creatable: fc.boolean(),
        errno: fc.constantFrom(null, 'EACCES', 'ENOENT', 'EPERM', 'EINVAL'),
        inUse: flag,
        empty: flag,
        fileSystem: fc.constantFrom(null, 'ext4'),
        holdsSockets: flag,
        cutTo: fc.constantFrom(null, '/run/ap'),
      }),
    ),
    users: fc.constant(new Map()),
    settings: fc.record({
      automaticPorts: fc.constantFrom(null, [32_768, 60_999] as const),
      reservedPorts: fc.constantFrom([], [[80, 80] as const]),
      firstUnprivilegedPort: fc.constantFrom(null, 0, 1024),
      mayBindPrivileged: flag,
      mayAdministerNetwork: flag,
      ipv6: fc.boolean(),
      nonlocalBind: fc.record({ v4: fc.boolean(), v6: fc.boolean() }),
      localAddresses: fc.constantFrom([], settings.localAddresses),
    }),
    gaps: fc.array(fc.record({ what: text, why: text, hint: text }), { maxLength: 2 }),
  })
  .map((over) => facts(over as Partial<Facts>));
const anyRequest: fc.Arbitrary<Request> = fc
  .tuple(
    fc.oneof(
      fc.record({ protocol: fc.constantFrom('tcp', 'udp'), address, port: fc.constantFrom(0, 80, port, 65_535) }),
      fc.record({ protocol: fc.constant('unix'), path: text }),
    ),
    fc.record({
      reuseAddress: fc.boolean(),
      reusePort: fc.boolean(),
      v6Only: fc.boolean(),
      device: fc.constantFrom(null, 'lo', 'eth0', 'tun9'),
    }),
  )
  .map(([endpoint, options]) => request(endpoint as Partial<Request['endpoint']>, options));
const anyProbe = fc.option(
  fc.record({
    errno: fc.constantFrom(null, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'EPERM'),
    port: fc.constant(port),
  }),
);

test('judge() never throws, whatever the facts, with every cause of the registry', () => {
  fc.assert(
    fc.property(anyRequest, anyFacts, anyProbe, (asked, read, probe) => {
      const report = judge(asked, read, probe, causes);
      assert.ok(report.bindable === null || typeof report.bindable === 'boolean');
      for (const finding of [report.verdict, ...report.also]) assert.notEqual(finding?.sentence, '');
      JSON.stringify(report);
    }),
    { numRuns: 3000 },
  );
});

test('what judge() says is consistent: the kernel decides, blockers only for EADDRINUSE, the plan in order', () => {
  const everything = [
    stub('a', (question) => question.blockers.length > 0, [remedy(), remedy({ remedy: 'wait' })]),
    stub('unexplained', (question) => question.disagrees || question.errno !== null, []),
  ].map((known) => ({ ...known, on: ['linux', 'darwin', 'win32'] as const }));
  fc.assert(
    fc.property(anyRequest, anyFacts, anyProbe, (asked, read, probe) => {
      const report = judge(asked, read, probe, everything);
      if (probe !== null) assert.equal(report.bindable, probe.errno === null);
      if (report.bindable === true) assert.equal(report.errno, null);
      if (report.bindable === false) assert.notEqual(report.errno, null);
      if (report.errno !== 'EADDRINUSE') assert.deepEqual(report.blockers, []);
      if (report.errno !== null) assert.notEqual(report.verdict, null);
      const order = report.plan.map((step) => remedyIds.indexOf(step.remedy));
      assert.deepEqual(
        order,
        [...order].sort((a, b) => a - b),
      );
    }),
    { numRuns: 3000 },
  );
});

test('more knowledge never contradicts less: a hidden flag revealed stays within what was possible', () => {
  fc.assert(
    fc.property(anyRequest, anyFacts, fc.boolean(), fc.boolean(), fc.boolean(), (asked, read, ra, rp, v6) => {
      const linuxFacts: Facts = { ...read, platform: 'linux' };
      const revealed: Facts = {
        ...linuxFacts,
        sockets: linuxFacts.sockets.map((entry) =>
          entry.protocol === 'unix'
            ? entry
            : {
                ...entry,
                reuseAddress: entry.reuseAddress ?? ra,
                reusePort: entry.reusePort ?? rp,
                // A child's own bit is its listener's; revealing another is no history that can be.
                v6Only: entry.v6Only ?? (linuxFacts.sockets.some(isListener) ? null : v6),
              },
        ),
      };
      const before = ask(asked, linuxFacts, null).predicted ?? [];
      const after = ask(asked, revealed, null).predicted ?? [];
      for (const outcome of after) assert.ok(before.includes(outcome), `${outcome} was not possible: ${before.join()}`);
    }),
    { numRuns: 3000 },
  );
});

function isListener(entry: Facts['sockets'][number]): boolean {
  return entry.state === 'LISTEN';
}

test('a TIME_WAIT socket on another address is a bystander', () => {
  const elsewhere = socket({ ...at('192.0.2.7'), state: 'TIME_WAIT', mini: true });
  assert.deepEqual(ask(request({ address: '127.0.0.1' }), facts({ sockets: [elsewhere] }), free).bystanders, [
    elsewhere,
  ]);
});

test('judging a port reads each connection a bounded number of times, because no step compares all with all', () => {
  const connection = { ...at('::ffff:127.0.0.1'), state: 'ESTABLISHED' as const, v6Only: null, reuseAddress: null };
  /** How often the judge reads a property of a socket, for a port with this many connections. */
  const readsFor = (connections: number): number => {
    let reads = 0;
    const counted = <T extends object>(target: T): T =>
      new Proxy(target, {
        get(object, name) {
          reads++;
          return Reflect.get(object, name);
        },
      });
    const sockets = [counted(socket({ ...at('::'), inode: 1 }))];
    for (let index = 0; index < connections; index++) {
      const remote = { address: '::ffff:127.0.0.1', port: index };
      sockets.push(counted(socket({ ...connection, inode: index + 2, remote })));
    }
    const report = judge(request({ address: '::' }), facts({ sockets }), inUse, causes);
    assert.equal(report.blockers[0]?.state, 'LISTEN');
    return reads;
  };
  const [few, many] = [readsFor(100), readsFor(1_000)];
  // Ten times the connections: ten times the reads, and the sorting's logarithm. Comparing all with all would be a hundred times.
  assert.ok(many < 20 * few, `${few} reads for 100 connections, ${many} for 1,000`);
});
