/** Who seems to manage a process: a table of command lines, parents and cgroups as they really are. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { programsOf } from '../../src/model/command-words.ts';
import type { Holder, ParentProcess } from '../../src/model/facts.ts';
import { managedBy } from '../../src/model/manager-words.ts';
import { type Manager, managers } from '../../src/model/managers.ts';
import { type Suspicion, suspect } from '../../src/model/suspect.ts';
import { facts, holder } from './facts.ts';

const { asker } = facts();
const init: ParentProcess = { pid: 1, command: 'systemd', argv: ['/sbin/init'] };

function above(command: string, ...argv: string[]): ParentProcess {
  return { pid: 40, command, argv };
}

function seen(
  over: Partial<Holder>,
  executable: string | null = null,
): Pick<Suspicion, 'kind' | 'name' | 'pid'> | null {
  const found = suspect(holder(over), asker, () => executable);
  return found === null ? null : { kind: found.kind, name: found.name, pid: found.pid };
}

describe('a parent is recognised by what it runs', () => {
  const rows: readonly (readonly [ParentProcess, string, string | null])[] = [
    [above('node', 'node', '/srv/shop/node_modules/.bin/nodemon', 'server.js'), 'nodemon', null],
    [above('node', 'node', '--inspect', '--watch', 'server.js'), 'node-watch', null],
    [above('node', '/usr/bin/node', '--watch-path=src', 'server.js'), 'node-watch', null],
    [above('node', 'node', '/srv/shop/node_modules/.bin/tsx', 'watch', 'server.ts'), 'tsx', null],
    [above('node', 'node', '/srv/shop/node_modules/tsx/dist/cli.mjs', 'watch', 'server.ts'), 'tsx', null],
    [above('node', 'node', '--test', 'test/'), 'node-test', null],
    [above('node', 'node', '/srv/shop/node_modules/.bin/jest'), 'jest', null],
    [above('node', 'node (vitest)'), 'vitest', null],
    [above('npm run dev', 'npm run dev'), 'npm', 'dev'],
    [above('node', 'node', '/usr/lib/node_modules/npm/bin/npm-cli.js', 'start'), 'npm', 'start'],
    [above('node', 'node', '/usr/bin/pnpm', 'run', 'dev'), 'pnpm', 'dev'],
    [above('node', 'node', '/srv/shop/.yarn/releases/yarn-4.5.0.cjs', 'start'), 'yarn', 'start'],
    [above('bun', 'bun', 'run', 'dev'), 'bun', 'dev'],
    [above('node', 'node', '--run', 'dev'), 'node-run', 'dev'],
    [above('python3', 'python3', '/usr/bin/uvicorn', 'app:app', '--reload'), 'uvicorn', null],
    [above('python3', 'python3', '-m', 'uvicorn', 'app:app'), 'uvicorn', null],
    [above('gunicorn', 'gunicorn: master [app]'), 'gunicorn', null],
    [above('ruby', 'puma 6.4.2 (tcp://0.0.0.0:9292) [app]'), 'puma', null],
    [above('python3', 'python3', 'manage.py', 'runserver'), 'reloader', 'django'],
    [above('bash', 'bash', '-c', 'while true; do node server.js; sleep 1; done'), 'shell-loop', null],
    [above('sh', 'sh', '-ec', 'cd /srv\nuntil node server.js\ndo sleep 1\ndone 2>>log'), 'shell-loop', null],
    [above('bash', 'bash', '-c', 'for ((;;)); do node server.js; done &'), 'shell-loop', null],
    [above('PM2 v7.0.4: God', 'PM2 v7.0.4: God Daemon (/home/ann/.pm2)'), 'pm2', null],
    [
      above('supervisord', '/usr/bin/python3', '/usr/bin/supervisord', '-c', '/etc/supervisor.conf'),
      'supervisord',
      null,
    ],
    [above('node', 'node', '/usr/bin/rebind', 'hold', '3000', '--', 'npm', 'start'), 'hold', 'npm start'],
    [
      above('node', 'node', '/srv/rebind/dist/cli/rebind.cjs', 'hold', '3000', '--', 'npm', 'start'),
      'hold',
      'npm start',
    ],
    [above('watchexec', '/bin/sh', '/usr/local/bin/watchexec', 'node', 'server.js'), 'reloader', 'watchexec'],
    [above('code', '/usr/share/code/code', '--type=utility'), 'editor', 'code'],
    [above('node', 'node', '/srv/shop/node_modules/.bin/concurrently', 'npm:dev', 'npm:api'), 'runner', 'concurrently'],
    [above('claude', 'claude'), 'agent', 'claude'],
  ];
  for (const [parent, kind, name] of rows)
    test(`${parent.argv?.join(' ')} is ${kind}`, () => {
      assert.deepEqual(seen({ parents: [parent, init] }), { kind, name, pid: 40 });
    });

  const others: readonly ParentProcess[] = [
    above('node', 'node', 'server.js', '--watch'),
    above('node', 'node', 'server.js', 'nodemon'),
    above('bash', 'bash', '-c', 'node server.js'),
    above('bash', 'bash', '-c', 'while ! test -e ready; do sleep 1; done; node server.js'),
    above('bash', 'bash', '-c', 'for name in a b; do node $name.js; done'),
    above('sh', 'sh', '-c', 'echo "wait while I start"; node server.js'),
    above('bash', '-bash'),
    above('vim', 'less', 'while.txt'),
    above('node', 'node', '/usr/bin/rebind', 'why', '3000'),
    above('node', 'node', '-e', 'nodemon'),
  ];
  for (const parent of others)
    test(`${parent.argv?.join(' ')} is none`, () => assert.equal(seen({ parents: [parent, init] }), null));
});

test('what would start it again counts more than the script that started it, and nothing above a session counts', () => {
  const npm = { ...above('npm run dev', 'npm run dev'), pid: 42 };
  const nodemon = above('node', 'node', 'node_modules/.bin/nodemon', 'server.js');
  assert.equal(seen({ parents: [npm, nodemon, init] })?.kind, 'nodemon');
  const supervisord = { ...above('supervisord', '/usr/bin/supervisord'), pid: 30 };
  assert.equal(seen({ parents: [npm, supervisord, init] })?.kind, 'supervisord');
  const sshd = { pid: 35, command: 'sshd', argv: ['sshd: ann@pts/0'] };
  assert.equal(seen({ parents: [npm, sshd, supervisord, init] })?.kind, 'npm');
});

test('a watcher that the asker runs in as well starts nothing again; a test run is still named', () => {
  const inside = { ...asker, ancestors: [60, 40, 1] };
  const loop = above('bash', 'bash', '-c', 'while :; do npm test; done');
  const npm = { ...above('npm test', 'npm test'), pid: 60 };
  assert.equal(
    suspect(holder({ parents: [loop, init] }), inside, () => null),
    null,
  );
  assert.equal(suspect(holder({ parents: [npm, loop, init] }), inside, () => null)?.kind, 'npm');
  const jest = above('node', 'node', '/srv/shop/node_modules/.bin/jest');
  assert.equal(suspect(holder({ parents: [jest, init] }), inside, () => null)?.kind, 'jest');
});

test('a service is not told to stop the program that the asker runs in, and another program of it is', () => {
  const daemon = { ...above('PM2 v7.0.4: God', 'PM2 v7.0.4: God Daemon (/home/ann/.pm2)'), pid: 30 };
  const app = { ...above('node', 'node', '/srv/shop/app.js'), pid: 31 };
  const inside = { ...asker, ancestors: [31, 30, 1] };
  const under = (...parents: ParentProcess[]) => suspect(holder({ parents }), inside, () => null);
  assert.equal(under(app, daemon, init), null);
  assert.equal(
    suspect(holder({ pid: 31, parents: [daemon, init] }), inside, () => null),
    null,
  );
  assert.equal(under(daemon, init)?.kind, 'pm2');
  assert.equal(under({ ...app, pid: 32 }, daemon, init)?.kind, 'pm2');
});

describe('a unit', () => {
  test('of the system or of the user is systemd', () => {
    assert.deepEqual(seen({ unit: 'shop.service', parents: [init] }), {
      kind: 'systemd',
      name: 'shop.service',
      pid: null,
    });
  });

  test('that rebind runs in itself, that hosts what others start, or above a session is none', () => {
    const own = suspect(
      holder({ unit: 'shop.service', parents: [init] }),
      { ...asker, unit: 'shop.service' },
      () => null,
    );
    assert.equal(own, null);
    assert.equal(seen({ unit: 'ssh.service', parents: [init] }), null);
    assert.equal(seen({ unit: 'shop.service', parents: [{ pid: 5, command: 'sshd' }, init] }), null);
    assert.equal(seen({ unit: 'session-3.scope', parents: [init] }), null);
  });

  test("of a container's own systemd is that systemd's, which nobody asks", () => {
    const inner = { pid: 77, command: 'systemd', argv: ['/usr/lib/systemd/systemd'] };
    assert.deepEqual(seen({ parents: [inner, init] }), { kind: 'systemd', name: null, pid: 77 });
  });
});

describe('parts of an engine', () => {
  test('are known by their program, not by their name', () => {
    assert.equal(suspect(holder({ command: 'docker-proxy' }), asker, () => '/usr/bin/docker-proxy')?.part, 'forwarder');
    assert.equal(suspect(holder({ command: 'dockerd' }), asker, () => '/usr/bin/dockerd (deleted)')?.part, 'engine');
    assert.equal(suspect(holder({ command: 'rootlessport' }), asker, () => '/usr/bin/podman')?.part, 'forwarder');
    assert.equal(
      suspect(holder({ command: 'docker-proxy' }), asker, () => '/usr/bin/python3.11'),
      null,
    );
    assert.equal(
      suspect(holder({ command: 'conmon', argv: ['conmon', '-c', '--all'] }), asker, () => '/usr/bin/python3.11'),
      null,
    );
  });

  test('whose program is hidden are known by their name', () => {
    assert.equal(suspect(holder({ command: 'docker-proxy' }), asker, () => null)?.kind, 'docker');
  });
});

test('a session of ssh that forwards a port is no daemon', () => {
  assert.deepEqual(seen({ command: 'sshd', argv: ['sshd: ann@pts/0'] }), { kind: 'ssh', name: 'ann', pid: 41 });
  assert.deepEqual(seen({ command: 'sshd-session', argv: ['sshd-session: ann@notty'] }), {
    kind: 'ssh',
    name: 'ann',
    pid: 41,
  });
  assert.equal(seen({ command: 'sshd', argv: ['sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups'] }), null);
});

test('a process that is traced has a debugger', () => {
  assert.deepEqual(seen({ tracer: 88 }), { kind: 'debugger', name: null, pid: 88 });
  assert.equal(seen({ tracer: asker.pid }), null);
});

test('the names of a command line', () => {
  assert.deepEqual(programsOf(['/usr/bin/node', '-r', 'dotenv', '/srv/bin/nodemon.js', 'x']), ['node', 'nodemon']);
  assert.deepEqual(programsOf(['python3', '-m', 'uvicorn']), ['python3', 'uvicorn']);
  assert.deepEqual(programsOf(['npm run dev']), ['npm']);
  assert.deepEqual(programsOf([]), ['']);
});

test('every manager has a sentence, and what is not confirmed is said to look so', () => {
  for (const kind of Object.keys(managers) as (keyof typeof managers)[]) {
    const manager: Manager = {
      kind,
      name: 'shop',
      pid: 40,
      confirmed: true,
      unconfirmed: null,
      paused: false,
      part: null,
      order: null,
      process: null,
    };
    assert.doesNotMatch(managedBy(manager), /null|undefined|looks/, kind);
    assert.match(
      managedBy({ ...manager, confirmed: false, unconfirmed: 'nobody knows it' }),
      /^it looks as if .*\(nobody knows it\)$/,
      kind,
    );
  }
});
