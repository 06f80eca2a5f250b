import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { containerOf, describeCgroups, parseCgroupPaths } from '../../../../src/os/linux/proc/cgroup.ts';
import { inodeOf } from '../../../../src/os/linux/proc/open-sockets.ts';
import { openProc, ProcError } from '../../../../src/os/linux/proc/proc.ts';
import { parseTable } from '../../../../src/os/linux/proc/proc-net.ts';
import { openDescriber, parseArgv, parsePasswd } from '../../../../src/os/linux/proc/process.ts';
import { parseRange, parseRanges } from '../../../../src/os/linux/proc/settings.ts';
import { parseStat } from '../../../../src/os/linux/proc/stat.ts';
import { parseUnixTable } from '../../../../src/os/linux/proc/unix-sockets.ts';
import { readRecording, unpack } from '../recording.ts';

const recording = readRecording('6.18.44-x64.json');
const id = 'a'.repeat(64);

test('a process name may hold parentheses, blanks and line breaks', () => {
  const rest = 'S 41 42 43 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 777 0';
  for (const name of ['node', ') R 1 (', 'a b\nc', '((', '']) {
    const stat = parseStat(`7 (${name}) ${rest}`);
    assert.deepEqual(stat, {
      command: name,
      state: 'S',
      parent: 41,
      group: 42,
      session: 43,
      terminal: 0,
      foreground: -1,
      threads: 1,
      started: '777',
    });
  }
});

test('a stat file that does not read as the manual says is no process', () => {
  for (const text of [
    '',
    '7',
    '7 (a',
    '7 a) (',
    '7 (a) ',
    '7 (a) S 1 2',
    '7 (a) S x y z 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 7',
  ])
    assert.equal(parseStat(text), null, text);
});

test('arguments: none, empty ones, a title written over them, one that is cut', () => {
  assert.deepEqual(parseArgv(Buffer.from('')), []);
  assert.deepEqual(parseArgv(Buffer.from('a\0\0b\0')), ['a', '', 'b']);
  assert.deepEqual(parseArgv(Buffer.from('nginx: worker process\0\0\0\0')), ['nginx: worker process']);
  assert.deepEqual(parseArgv(Buffer.from('a\0cut')), ['a', 'cut']);
});

test('the first name of a user number counts, and broken lines of the user table none', () => {
  const names = parsePasswd('root:x:0:0::/root:/bin/sh\ntoor:x:0:0\n\nbad\n:x:5:5\nann:x:1000:\nodd:x:-1:\n');
  assert.deepEqual(
    [...names],
    [
      [0, 'root'],
      [1000, 'ann'],
    ],
  );
});

test('units and containers by cgroup path', () => {
  const cases: readonly [string, { unit?: string; userUnit?: boolean; runtime?: string; id?: string }][] = [
    ['0::/system.slice/shop.service', { unit: 'shop.service' }],
    ['0::/system.slice/system-postgresql.slice/postgresql@16-main.service', { unit: 'postgresql@16-main.service' }],
    ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/dev.service', { unit: 'dev.service', userUnit: true }],
    ['0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome-x-1.scope', {}],
    ['0::/user.slice/user-1000.slice/session-2.scope', {}],
    ['0::/', {}],
    [`0::/system.slice/docker-${id}.scope`, { runtime: 'docker', id }],
    [`3:cpu:/docker/${id}\n1:name=systemd:/docker/${id}`, { runtime: 'docker', id }],
    [`0::/machine.slice/libpod-${id}.scope/container`, { runtime: 'podman', id }],
    [`0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope`, { runtime: 'containerd', id }],
    [`0::/kubepods.slice/kubepods-pod1.slice/crio-${id}.scope`, { runtime: 'crio', id }],
    [`0::/kubepods/besteffort/pod1/${id}`, { runtime: 'kubernetes', id }],
    ['0::/lxc.payload.web/system.slice/nginx.service', { unit: 'nginx.service', runtime: 'lxc', id: 'web' }],
    [`9:name=systemd:/system.slice/shop.service\n0::/`, { unit: 'shop.service' }],
    ['garbage\n0:no path', {}],
  ];
  for (const [text, expected] of cases) {
    const { unit, userUnit, container } = describeCgroups(parseCgroupPaths(text));
    assert.equal(unit, expected.unit ?? null, text);
    assert.equal(userUnit, expected.userUnit ?? false, text);
    assert.equal(container?.runtime, expected.runtime, text);
    assert.equal(container?.id, expected.id, text);
  }
  assert.equal(containerOf('/system.slice/docker.service'), null);
});

test('the settings that hold ports', () => {
  assert.deepEqual(parseRange('32768\t60999'), [32768, 60999]);
  assert.equal(parseRange('all'), null);
  assert.deepEqual(parseRanges('8080,9148,10000-10100'), [
    [8080, 8080],
    [9148, 9148],
    [10000, 10100],
  ]);
  assert.deepEqual(parseRanges(''), []);
  assert.deepEqual(parseRanges('x,-,5-,999999999999'), []);
});

test('only the link of a socket is one', () => {
  assert.equal(inodeOf('socket:[12]'), 12);
  for (const link of [
    'socket:[]',
    'socket:[x]',
    'socket:[12',
    '/tmp/socket:[12]',
    'pipe:[12]',
    `socket:[${'9'.repeat(40)}]`,
  ])
    assert.equal(inodeOf(link), null, link);
});

test('the recorded tables of /proc/net show what the recorded netlink shows, but for what they lack', () => {
  const table = (name: string): Buffer => Buffer.from(recording.proc[`net/${name}`] as string, 'latin1');
  const { rows, garbled } = parseTable(table('tcp6'), 'tcp', recording.port);
  assert.equal(garbled, 0);
  assert.deepEqual(
    rows
      .map(({ state, local, remote, linux: { mini } }) => `${state} ${local.address} ${remote?.address} ${mini}`)
      .sort(),
    [
      'ESTABLISHED ::1 ::1 false',
      'ESTABLISHED ::ffff:127.0.0.1 ::ffff:127.0.0.1 false',
      'LISTEN :: undefined false',
      'TIME_WAIT ::ffff:127.0.0.1 ::ffff:127.0.0.1 true',
    ],
  );
  const rest = rows.find(({ linux }) => linux.mini)?.expiresInMs ?? 0;
  assert.ok(rest > 50_000 && rest <= 60_000, `TIME_WAIT lasts a minute: ${rest}`);
  assert.equal(parseTable(table('udp'), 'udp', recording.port).rows.length, 1);
  assert.deepEqual(
    parseUnixTable(table('unix')).map(({ name, state }) => [name.toString(), state]),
    [[recording.path, 'LISTEN']],
  );
});

test('garbled lines of a socket table are counted and never become a socket', () => {
  const good = (recording.proc['net/tcp6'] as string).split('\n');
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 20 }), (bytes) => {
      const lines = bytes.map((line) => Buffer.from(line).toString('latin1').replaceAll('\n', ' '));
      const text = Buffer.from([...good, ...lines].join('\n'), 'latin1');
      const { rows, garbled } = parseTable(text, 'tcp', null);
      assert.equal(rows.length, good.length - 2);
      assert.equal(garbled, lines.filter((line) => line !== '').length);
    }),
  );
});

test('arbitrary text in any file of /proc is read or passed over, and nothing throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
      const bytes = Buffer.from(text, 'latin1');
      parseStat(text);
      parseArgv(bytes);
      parsePasswd(text);
      describeCgroups(parseCgroupPaths(text));
      parseRange(text);
      parseRanges(text);
      parseUnixTable(bytes);
      parseTable(bytes, 'udp', 3000);
      inodeOf(text);
    }),
    { numRuns: 1_000 },
  );
});

test('a file that does not end is read up to a limit', () => {
  assert.equal(openProc('/dev').read('zero', 10_000).length, 10_000);
});

test('what cannot be read is a ProcError with its errno', () => {
  assert.throws(
    () => openProc('/proc').read('no-such-file'),
    (error) => error instanceof ProcError && error.code === 'ENOENT',
  );
  assert.throws(
    () => openProc('/proc').read('self'),
    (error) => error instanceof ProcError && error.code === 'EISDIR',
  );
});

test('a recorded process is described, with its parents and its start', () => {
  using tree = unpack(recording.proc);
  const describer = openDescriber(openProc(tree.root), () => 'root:x:0:0:\n');
  const child = describer.describe(recording.child);
  assert.equal(child?.command, 'sleep');
  assert.deepEqual(child?.argv, ['sleep', '60']);
  assert.equal(child?.cwd, '/app');
  assert.equal(child?.user, 'root');
  assert.equal(child?.processState, 'S');
  assert.deepEqual(
    child?.parents.map(({ pid, command }) => ({ pid, command })),
    [{ pid: 1, command: 'node' }],
  );
  assert.equal(child?.container, null);
  assert.ok((child?.startedAtMs ?? 0) > 0);
  assert.equal(describer.describe(99), null);
});

test('a process whose files vanish while they are read keeps what was seen', () => {
  const tree = Object.fromEntries(
    Object.entries(recording.proc).filter(([path]) => !/^\d+\/(cmdline|cwd|cgroup|status)$/.test(path)),
  );
  using root = unpack(tree);
  const child = openDescriber(openProc(root.root), () => '').describe(recording.child);
  assert.equal(child?.command, 'sleep');
  assert.deepEqual(child?.argv, []);
  assert.equal(child?.cwd, null);
  assert.equal(child?.unit, null);
});

test('Node 24 and later, which name their main thread, are called by their program', () => {
  const stat = (pid: number, parent: number, name: string): string =>
    `${pid} (${name}) S ${parent} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5 0`;
  using tree = unpack({
    '5/stat': stat(5, 6, 'MainThread'),
    '5/status': 'Uid:\t0\t0\t0\t0\n',
    '5/cmdline': '/usr/bin/node\0server.js\0',
    '6/stat': stat(6, 0, 'node-MainThread'),
    '6/cmdline': '',
    uptime: '1 1',
  });
  const told = openDescriber(openProc(tree.root), () => '').describe(5);
  assert.equal(told?.command, 'node');
  assert.deepEqual(told?.parents, [{ pid: 6, command: 'node', argv: [] }]);
});

test('parents that go in a circle end', () => {
  const stat = (pid: number, parent: number): string => `${pid} (x) S ${parent} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5 0`;
  using tree = unpack({ '5/stat': stat(5, 6), '6/stat': stat(6, 5), uptime: '1 1' });
  const describer = openDescriber(openProc(tree.root), () => '');
  assert.deepEqual(describer.parents(5), [{ pid: 6, command: 'x', argv: [] }]);
});
