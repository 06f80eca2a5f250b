import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { run } from './command.ts';
import { fixture, freePort, rebind } from './harness.ts';

const server = [process.execPath, fixture('server.cjs')];
const nobody = 65_534;
const own = process.getuid?.() ?? 0;
const needsRoot = own !== 0 && 'needs root to become somebody else';
const ask = (words: readonly string[], options: { readonly cwd?: string; readonly uid?: number } = {}) =>
  spawnSync(process.execPath, [rebind, 'hold', ...words], { encoding: 'utf8', ...options });

/** A process of a user that has the name which the hold of a user would have for a port, and answers everybody this. */
async function impostor(port: number, answer: string, ofUser: number, uid: number): Promise<AsyncDisposable> {
  const source = `
    const answer = process.argv[1], name = '\\0rebind-hold/${ofUser}/[::]:${port}';
    const listen = (path) => require('net').createServer((socket) => socket.on('error', () => {}).end(answer + '\\n')).listen(path, () => console.log('up'));
    listen(name); if (${process.versions.node.split('.')[0]} > 20) listen(name.padEnd(108, '\\0'));`;
  // /: a user who may not look into the directory of the tests must be able to start.
  const child = spawn(process.execPath, ['-e', source, answer], {
    uid,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
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

test('root does not take the answer of another user for that of its own hold', { skip: needsRoot }, async () => {
  const port = await freePort();
  await using _ = await impostor(port, '{"outcome":"done","generation":1,"why":null}', 0, nobody);
  isNoHold(ask(['--restart', String(port)]), port);
});

test('what answers in another shape than a hold is no hold, and nothing of it reaches the terminal', async () => {
  for (const [question, answer] of [
    ['--restart', '{"outcome":"done","generation":"\\u001b[31mPWN","why":null}'],
    ['--status', '{"schema":1}'],
    ['--status', 'null'],
    ['--status', 'nothing of ours'],
    ['--restart', '{"outcome":"\\u001b[31mPWN","generation":1,"why":null}'],
  ] as const) {
    const port = await freePort();
    await using _ = await impostor(port, answer, own, own);
    isNoHold(ask([question, String(port)]), port);
  }
});

test('why a restart was refused is shown without control characters', async () => {
  const port = await freePort();
  await using _ = await impostor(port, '{"outcome":"refused","generation":2,"why":"a\\u001b[31mb"}', own, own);
  const { status, stderr } = ask(['--restart', String(port)]);
  assert.deepEqual([status, stderr], [1, 'rebind: a\\x1b[31mb\n']);
});

test('who asks about the hold of another user is told that no hold of theirs keeps the port', {
  skip: needsRoot,
}, async () => {
  const port = await freePort();
  await using held = run(['hold', String(port), '--', ...server], { env: { PORT: String(port), HOST: '::' } });
  await held.printed(/Generation 1 .* was ready after/);
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
  await held.printed(/Generation 1 .* was ready after/);
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
  await held.printed(/Generation 1 .* was ready after/);
  assert.equal(ask(['--status', 'app.sock'], { cwd: deep }).status, 0);
  held.child.kill('SIGINT');
  await held.ended;
  rmSync(directory, { recursive: true });
});
