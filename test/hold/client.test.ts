import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { controlNameOf } from '../../src/hold/control.ts';
import { os } from '../../src/os/index.ts';
import { run } from './command.ts';
import { fixture, freePort, rebind } from './harness.ts';

const server = [process.execPath, fixture('server.cjs')];
const nobody = 65_534;
const own = process.getuid?.() ?? 0;
const needsRoot = own !== 0 && 'needs root to become somebody else';
const ask = (words: readonly string[], options: { readonly cwd?: string; readonly uid?: number } = {}) =>
  spawnSync(process.execPath, [rebind, 'hold', ...words], { encoding: 'utf8', ...options });

/** Listens where the hold of a port would have its name, and answers everybody this. */
async function impostor(port: number, answer: string): Promise<Disposable> {
  const listener = await os().channels.listen(`hold-${process.pid}-${randomUUID()}`, {
    admit: () => true,
    onChannel: ({ socket }) => {
      socket.resume();
      socket.end(`${answer}\n`);
    },
  });
  listener.publish(controlNameOf({ protocol: 'tcp', address: '::', port }));
  return { [Symbol.dispose]: () => listener.close() };
}

/** As `ask`, while this process goes on: it may be the one that answers. */
async function askMeanwhile(
  ...words: readonly string[]
): Promise<Pick<ReturnType<typeof ask>, 'status' | 'stdout' | 'stderr'>> {
  const child = spawn(process.execPath, [rebind, 'hold', ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = [child.stdout, child.stderr].map(async (stream) => Buffer.concat(await stream.toArray()).toString());
  const [[status], stdout = '', stderr = ''] = await Promise.all([once(child, 'exit'), ...texts]);
  return { status, stdout, stderr };
}

/** Has the abstract name that a hold of an earlier version had. */
async function earlier(port: number, uid: number): Promise<AsyncDisposable & { readonly pid: number }> {
  const source = `
    const name = '\\0rebind-hold/${own}/[::]:${port}';
    require('net').createServer((socket) => socket.on('error', () => {})).listen(name, () => console.log('up'));`;
  // /: a user who may not look into the directory of the tests must be able to start.
  const child = spawn(process.execPath, ['-e', source], { uid, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

function isNoHold({ status, stdout, stderr }: ReturnType<typeof ask>, where: string | number): void {
  const message = `No hold of this user keeps ${where}`;
  assert.equal(stderr, `rebind: ${message}\n`);
  assert.equal(status, 1);
  if (stdout !== '') assert.deepEqual(JSON.parse(stdout), { schema: 1, error: { kind: 'no-hold', message } });
}

test('a hold of an earlier version is named, with what restarts and stops it', async () => {
  const port = await freePort();
  await using old = await earlier(port, own);
  for (const question of ['--status', '--restart', '--stop']) {
    const { status, stderr } = ask([question, String(port)]);
    assert.equal(status, 1);
    assert.equal(
      stderr,
      `rebind: Process ${old.pid} is a hold of an earlier version of rebind and has [::]:${port}: "kill -HUP ${old.pid}" restarts its command, "kill ${old.pid}" stops it\n`,
    );
  }
});

test('a process of another user that has such a name is not taken for a hold', { skip: needsRoot }, async () => {
  const port = await freePort();
  await using _ = await earlier(port, nobody);
  isNoHold(ask(['--restart', String(port)]), port);
});

test('what answers in another shape than a hold is said to be unknown, and nothing of it reaches the terminal', async () => {
  for (const [question, answer] of [
    ['--restart', '{"outcome":"done","generation":"\\u001b[31mPWN","why":null}'],
    ['--status', '{"schema":1}'],
    ['--status', 'null'],
    ['--status', 'nothing of ours'],
    ['--status', '['.repeat(100_000)],
    ['--restart', '{"outcome":"\\u001b[31mPWN","generation":1,"why":null}'],
    ['--stop', '{"__proto__":{"stopped":true}}'],
  ] as const) {
    const port = await freePort();
    using _ = await impostor(port, answer);
    const { status, stdout, stderr } = await askMeanwhile(question, String(port));
    assert.deepEqual([status, stdout], [1, ''], answer.slice(0, 80));
    assert.match(
      stderr,
      /^rebind: The hold \(process \d+\) answered something that this version of rebind does not know\n$/,
    );
  }
});

test('why a restart was refused is shown without control characters', async () => {
  const port = await freePort();
  using _ = await impostor(port, '{"outcome":"refused","generation":2,"why":"a\\u001b[31mb"}');
  const { status, stderr } = await askMeanwhile('--restart', String(port));
  assert.deepEqual([status, stderr], [1, 'rebind: a\\x1b[31mb\n']);
});

test('a hold that is stopped, or ends while it is asked, is a sentence within seconds', async () => {
  const port = await freePort();
  await using held = run(['hold', String(port), '--', ...server], { env: { PORT: String(port), HOST: '::' } });
  await held.printed(/\(pid \d+\) is ready/);
  held.child.kill('SIGSTOP');
  const startMs = performance.now();
  const asked = await Promise.all(['--status', '--restart', '--stop'].map((word) => askMeanwhile(word, String(port))));
  assert(performance.now() - startMs < 15_000);
  for (const { status, stderr } of asked) {
    assert.equal(status, 1);
    assert.equal(
      stderr,
      `rebind: The hold (process ${held.pid}) did not answer within 5 s: it is stopped, and "kill -CONT ${held.pid}" lets it go on\n`,
    );
  }
  const late = askMeanwhile('--status', String(port));
  await sleep(1_000);
  held.child.kill('SIGKILL');
  assert.match((await late).stderr, /^rebind: (The hold \(process \d+\) (ended|broke)|No hold)/);
});

test('--status without an endpoint lists every hold of this user, and --stop stops one', async () => {
  const ports = [await freePort(), await freePort()];
  await using first = run(['hold', `127.0.0.1:${ports[0]}`, '--', ...server], {
    env: { PORT: String(ports[0]), HOST: '127.0.0.1' },
  });
  await using second = run(['hold', `127.0.0.1:${ports[1]}`, '--', ...server], {
    env: { PORT: String(ports[1]), HOST: '127.0.0.1' },
  });
  await first.printed(/\(pid \d+\) is ready/);
  await second.printed(/\(pid \d+\) is ready/);
  const holds = (): number[] =>
    JSON.parse(ask(['--status', '--json']).stdout).holds.map(({ pid }: { pid: number }) => pid);
  assert.deepEqual(new Set(holds().filter((pid) => pid === first.pid || pid === second.pid)).size, 2);
  const { stdout, status } = ask(['--stop', String(ports[0])]);
  assert.deepEqual([stdout, status], ['Stopped\n', 0]);
  await first.ended;
  assert.deepEqual(
    holds().filter((pid) => pid === first.pid || pid === second.pid),
    [second.pid],
  );
});

test('who asks about the hold of another user is told that no hold of theirs keeps the port', {
  skip: needsRoot,
}, async () => {
  const port = await freePort();
  await using held = run(['hold', String(port), '--', ...server], { env: { PORT: String(port), HOST: '::' } });
  await held.printed(/\(pid \d+\) is ready/);
  for (const question of ['--status', '--restart'])
    isNoHold(ask([question, String(port), '--json'], { uid: nobody, cwd: '/' }), port);
  assert.equal(ask(['--status', String(port)]).status, 0);
});

test('the hold of a socket file is found by every spelling of its path', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rebind-spelling-'));
  const path = join(directory, 'app.sock');
  await using held = run(['hold', './app.sock', '--', ...server], {
    cwd: directory,
    env: { SOCKET_PATH: './app.sock' },
  });
  await held.printed(/\(pid \d+\) is ready/);
  const other = join(directory, 'other');
  mkdirSync(other);
  for (const [spelling, cwd] of [
    ['./app.sock', directory],
    ['app.sock', directory],
    [path, '/'],
    ['../app.sock', other],
    [`./${relative('/', path)}`, '/'],
  ] as const)
    assert.equal(ask(['--status', spelling], { cwd }).status, 0, spelling);
  held.child.kill('SIGINT');
  await held.ended;
  rmSync(directory, { recursive: true });
});

test('a hold whose path would be too long for its name is found all the same', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rebind-deep-'));
  const deep = join(directory, 'd'.repeat(120));
  mkdirSync(deep);
  await using held = run(['hold', './app.sock', '--', ...server], { cwd: deep, env: { SOCKET_PATH: './app.sock' } });
  await held.printed(/\(pid \d+\) is ready/);
  assert.equal(ask(['--status', 'app.sock'], { cwd: deep }).status, 0);
  held.child.kill('SIGINT');
  await held.ended;
  rmSync(directory, { recursive: true });
});
