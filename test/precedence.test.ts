/**
 * Which cause comes first where two apply, for every pair that can: the registry's order, as a table of what a reader should
 * be told. And what a cause says where the machine of the tests lacks the thing: a systemd, a Docker.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causes } from '../src/causes/bind/index.ts';
import { nodeTcpOptions, type Request } from '../src/model/endpoint.ts';
import type { Facts, Holder, InetSocket } from '../src/model/facts.ts';
import { answer } from '../src/model/judge.ts';
import type { Manager, StopOrder } from '../src/model/managers.ts';
import { suspect } from '../src/model/suspect.ts';
import { adviceFor } from '../src/model/systems/index.ts';
import type { Question, Report } from '../src/model/verdict.ts';

const port = 40_000;

/** One socket that belongs to each cause when somebody wants 0.0.0.0 with SO_REUSEPORT, in the order of who is told first. */
const rows: readonly (readonly [string, Partial<InetSocket>, readonly Partial<Holder>[]])[] = [
  ['container-port', { state: 'LISTEN', reusePort: false }, [{ command: 'docker-proxy', accepts: true }]],
  ['socket-unit', { state: 'LISTEN', reusePort: false }, [{ pid: 1, command: 'systemd', accepts: true }]],
  ['kernel-listener', { state: 'LISTEN', reusePort: false }, []],
  ['reuse-port-other-user', { state: 'LISTEN', reusePort: true, uid: 1000 }, [{ accepts: true }]],
  [
    'inherited-descriptor',
    { state: 'LISTEN', reusePort: false },
    [{ accepts: false, parents: [{ pid: 1, command: 'init' }] }],
  ],
  ['dual-stack', { state: 'LISTEN', reusePort: false, family: 6, local: { address: '::', port } }, [{ accepts: true }]],
  [
    'wildcard-overlap',
    { state: 'LISTEN', reusePort: false, local: { address: '127.0.0.1', port } },
    [{ accepts: true }],
  ],
  ['other-listener', { state: 'LISTEN', reusePort: false }, [{ accepts: true }]],
  ['open-connection', { state: 'ESTABLISHED', direction: 'incoming' }, [{}]],
  ['self-connect', { state: 'ESTABLISHED', remote: { address: '0.0.0.0', port } }, [{}]],
  ['outgoing-connection', { state: 'ESTABLISHED', direction: 'outgoing' }, [{}]],
  ['bound-not-listening', { state: 'BOUND', remote: null }, [{}]],
  ['orphan-connection', { state: 'FIN_WAIT1', inode: 0 }, []],
  [
    'time-wait',
    {
      state: 'TIME_WAIT',
      linux: { cookie: null, mini: true, cgroupId: null, mptcp: false },
      inode: 0,
      expiresInMs: 30_000,
    },
    [],
  ],
];

for (const [index, first] of rows.entries()) {
  test(`${first[0]} is recognised alone`, () => {
    const report = judged([first]);
    assert.equal(report.verdict?.cause, first[0]);
    assert.deepEqual(report.also, []);
  });
  for (const second of rows.slice(index + 1)) {
    // A connection that a living listener accepted goes when the listener goes: that is one story, not two.
    const served = first[1].state === 'LISTEN' && second[0] === 'open-connection';
    test(`${first[0]} comes before ${second[0]}${served ? ', which it includes' : ''}`, () => {
      for (const both of [[first, second] as const, [second, first] as const]) {
        const report = judged(both);
        assert.equal(report.verdict?.cause, first[0]);
        const also = report.also.map(({ cause }) => cause);
        assert.deepEqual(also, served ? [] : [second[0]]);
      }
    });
  }
}

test('the order of the registry is the order of this table', () => {
  const ids = causes.map(({ id }) => id as string);
  const known = rows.map(([id]) => id);
  assert.deepEqual(
    ids.filter((id) => known.includes(id)),
    known,
  );
});

test('an IPv6 connection that blocks 0.0.0.0 comes after the cause that says what it is', () => {
  const local = { address: '::1', port };
  const report = judged([
    [
      'time-wait',
      {
        state: 'TIME_WAIT',
        linux: { cookie: null, mini: true, cgroupId: null, mptcp: false },
        inode: 0,
        expiresInMs: 1,
        family: 6,
        local,
      },
      [],
    ],
  ]);
  assert.equal(report.verdict?.cause, 'time-wait');
  assert.deepEqual(
    report.also.map(({ cause }) => cause),
    ['ipv6-connection'],
  );
});

test('a service of systemd is stopped by its unit, because systemd would start a killed process again', () => {
  const unit = { unit: 'shop.service', parents: [{ pid: 1, command: 'systemd' }], accepts: true, command: 'node' };
  const row: (typeof rows)[number] = ['other-listener', { state: 'LISTEN', reusePort: false }, [unit]];
  const { plan } = judged([row], stopping('sudo systemctl stop shop.service'));
  assert.deepEqual(
    plan.map(({ remedy, command }) => [remedy, command]),
    [['stop-unit', 'sudo systemctl stop shop.service']],
  );
  // What no manager confirmed is only a name: its process is asked to stop, after a yes.
  const [unconfirmed] = judged([row]).plan;
  assert.equal(unconfirmed?.remedy, 'stop-process');
  assert.equal(unconfirmed.automatic, false);
});

test("a user's own service is stopped without sudo", () => {
  const unit = { unit: 'shop.service', userUnit: true, parents: [{ pid: 900, command: 'systemd' }], accepts: true };
  const { plan } = judged(
    [['other-listener', { state: 'LISTEN', reusePort: false }, [unit]]],
    stopping('systemctl --user stop shop.service'),
  );
  assert.deepEqual(
    plan.map(({ command }) => command),
    ['systemctl --user stop shop.service'],
  );
});

test('the unit of a login or of cron is never stopped for what was started from it', () => {
  for (const holder of [
    {
      unit: 'ssh.service',
      parents: [
        { pid: 700, command: 'bash' },
        { pid: 600, command: 'sshd' },
      ],
    },
    { unit: 'cron.service', parents: [{ pid: 600, command: 'cron' }] },
    {
      unit: 'my-tmux.service',
      parents: [
        { pid: 700, command: 'bash' },
        { pid: 600, command: 'tmux: server' },
      ],
    },
  ]) {
    const { plan } = judged([
      ['other-listener', { state: 'LISTEN', reusePort: false }, [{ ...holder, accepts: true }]],
    ]);
    assert.deepEqual(
      plan.map(({ remedy }) => remedy),
      ['stop-process'],
    );
  }
});

test('docker-proxy does not know its container, but docker does', () => {
  const { plan } = judged([rows[0] ?? assert.fail()]);
  assert.deepEqual(
    plan.map(({ remedy, command }) => [remedy, command]),
    [['stop-container', `docker ps --filter publish=${port}`]],
  );
});

test('a server inside a container that shares the network is stopped with its container', () => {
  const container = { id: 'a'.repeat(64), name: null, runtime: 'docker' as const };
  const { verdict, plan } = judged(
    [['', { state: 'LISTEN', reusePort: false }, [{ container, accepts: true }]]],
    stopping('docker stop aaaaaaaaaaaa'),
  );
  assert.equal(verdict?.cause, 'container-port');
  assert.deepEqual(
    plan.map(({ command }) => command),
    ['docker stop aaaaaaaaaaaa'],
  );
});

test('pid 1 is never stopped for a socket that it holds: its units are listed', () => {
  const { plan } = judged([
    [
      '',
      { state: 'LISTEN', reusePort: false },
      [
        { pid: 1, command: 'systemd', accepts: true },
        { pid: 50, command: 'node', unit: 'shop.service', accepts: false, parents: [{ pid: 1, command: 'systemd' }] },
      ],
    ],
  ]);
  assert.deepEqual(
    plan.map(({ remedy, command, automatic }) => [remedy, command, automatic]),
    [
      ['stop-unit', 'systemctl list-sockets', false],
      ['stop-process', `rebind free 0.0.0.0:${port} --reuse-port`, false],
    ],
  );
});

test('reserving a port keeps the ports that are reserved already', () => {
  const { plan } = judged([rows.find(([id]) => id === 'outgoing-connection') ?? assert.fail()]);
  assert.ok(
    plan.some(({ command }) => command === 'sudo sysctl -w net.ipv4.ip_local_reserved_ports=45000-45010,40000'),
  );
});

test('a master that leaves accepting to its workers is part of the server, and no heir of it', () => {
  const master = { pid: 50, command: 'nginx', accepts: false, parents: [{ pid: 1, command: 'systemd' }] };
  const worker = { pid: 51, command: 'nginx', accepts: true, parents: [{ pid: 50, command: 'nginx' }] };
  const { verdict } = judged([['', { state: 'LISTEN', reusePort: false }, [master, worker]]]);
  assert.equal(verdict?.cause, 'other-listener');
});

/** A manager that confirmed the holder, and says how it is stopped. */
function stopping(shown: string): Partial<Manager> {
  const [program = '', ...args] = shown.split(' ');
  return { confirmed: true, order: { shown, work: { kind: 'command', program, args, uid: null } } satisfies StopOrder };
}

function judged(rowsToShow: readonly (typeof rows)[number][], answered: Partial<Manager> = {}): Report {
  const holders = new Map<number, Holder[]>();
  const sockets = rowsToShow.map(([, socket, held], index) => {
    const inode = socket.inode ?? 100 + index;
    if (held.length > 0)
      holders.set(
        inode,
        held.map((holder, at) => ({ ...someHolder(200 + 10 * index + at), ...holder })),
      );
    return { ...someSocket(inode), ...socket };
  });
  const request: Request = {
    endpoint: { protocol: 'tcp', address: '0.0.0.0', port },
    options: { ...nodeTcpOptions, reusePort: true },
  };
  const seen = facts(sockets, holders);
  const question: Question = {
    request,
    facts: seen,
    probe: { errno: 'EADDRINUSE', port },
    errno: 'EADDRINUSE',
    blockers: sockets.map((socket) => ({ socket, conflict: 'yes' })),
    bystanders: [],
    behind: [],
    managers: managersOf(seen, answered),
    redirects: [],
    reusing: null,
    doubts: new Map(),
    predicted: ['EADDRINUSE'],
    advice: adviceFor('linux'),
    disagrees: false,
  };
  return answer(question, causes);
}

/** Who is suspected to manage each holder, as the kernel's names tell; nobody is asked. */
function managersOf({ holders, asker }: Facts, answered: Partial<Manager>): ReadonlyMap<number, Manager> {
  const found = new Map<number, Manager>();
  for (const holder of [...holders.values()].flat()) {
    const suspicion = suspect(holder, asker, () => null);
    if (suspicion === null) continue;
    const { kind, name, pid, part } = suspicion;
    const unasked = { confirmed: false, unconfirmed: null, paused: false, order: null, process: null };
    found.set(holder.pid, { kind, name, pid, part, ...unasked, ...answered });
  }
  return found;
}

function someSocket(inode: number): InetSocket {
  return {
    protocol: 'tcp',
    family: 4,
    state: 'LISTEN',
    local: { address: '0.0.0.0', port },
    remote: { address: '10.0.0.2', port: 5432 },
    uid: 0,
    inode,
    linux: { cookie: null, mini: false, cgroupId: null, mptcp: false },
    reuseAddress: false,
    reusePort: false,
    v6Only: false,
    device: null,
    autoPort: true,
    expiresInMs: null,
    queue: null,
    direction: null,
  };
}

function someHolder(pid: number): Holder {
  return {
    pid,
    started: '1',
    descriptors: [3],
    accepts: null,
    command: 'program',
    argv: ['program'],
    cwd: '/',
    uid: 0,
    user: 'root',
    startedAtMs: 0,
    processState: 'S',
    parents: [{ pid: 77, command: 'bash' }],
    unit: null,
    userUnit: false,
    cgroup: null,
    container: null,
    tracer: null,
  };
}

function facts(sockets: readonly InetSocket[], holders: ReadonlyMap<number, readonly Holder[]>): Facts {
  return {
    platform: 'linux',
    kernel: '6.18.0',
    readAtMs: 0,
    sockets,
    holders,
    unseen: { sockets: false, processes: false },
    standings: new Map(),
    unixFile: null,
    users: new Map(),
    settings: {
      automaticPorts: [32_768, 60_999],
      reservedPorts: [[45_000, 45_010]],
      firstUnprivilegedPort: 1024,
      mayBindPrivileged: true,
      mayAdministerNetwork: true,
      ipv6: true,
      nonlocalBind: { v4: false, v6: false },
      localAddresses: [
        { address: '127.0.0.1', device: 'lo' },
        { address: '::1', device: 'lo' },
      ],
    },
    asker: { pid: 9, uid: 0, user: 'root', cwd: '/', ancestors: [], sudoUid: null, unit: null },
    gaps: [],
  };
}
