import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { run } from './command.ts';
import { fixture, freePort, get, rebind } from './harness.ts';

const server = [process.execPath, fixture('server.cjs')];
const ask = (...args: string[]) => spawnSync(process.execPath, [rebind, 'hold', ...args], { encoding: 'utf8' });

test('a hold that took the socket of another hold is found by its endpoint as soon as that one has ended', async () => {
  const port = await freePort();
  const where = `127.0.0.1:${port}`;
  const env = { PORT: String(port), HOST: '127.0.0.1' };
  await using first = run(['hold', where, '--', ...server], { env });
  await first.printed(/Generation 1 .* was ready after/);
  await using second = run(['hold', '--take-over', where, '--', ...server], { env });
  await second.printed(new RegExp(`Process ${first.pid}, whose socket was taken over, has ended`));
  const { pid } = JSON.parse(ask('--status', where, '--json').stdout);
  assert.equal(pid, second.pid);
  assert.deepEqual(ask('--restart', String(port)).stdout, 'Generation 2 serves\n');
  assert.match(await get(port), /^2 /);
  assert.doesNotMatch(second.stderr(), /Another process has the name/);
});

test('a name that somebody keeps who was not asked to end is told', async () => {
  const port = await freePort();
  const where = `127.0.0.1:${port}`;
  const env = { PORT: String(port), HOST: '127.0.0.1' };
  const own = process.getuid?.() ?? 0;
  const keeper = `require('net').createServer().listen('\\0rebind-hold/${own}/${where}'.padEnd(108, '\\0'), () => console.log('kept'))`;
  await using kept = run([], { before: [process.execPath, '-e', keeper] });
  await kept.printed(/kept/);
  const plain = `require('http').createServer().listen(${port}, '127.0.0.1', () => console.log('up'))`;
  await using former = run([], { before: [process.execPath, '-e', plain] });
  await former.printed(/up/);
  await using second = run(['hold', '--take-over', where, '--', ...server], { env });
  await second.printed(new RegExp(`Another process has the name that --status ${where} looks for`));
  assert.match(second.stderr(), /was ready after/);
});
