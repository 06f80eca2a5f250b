/**
 * hold as the first process of a container: it reads the status of every orphan, takes none that Node waits for, and answers signals.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { run } from './command.ts';
import { fixture, freePort, get } from './harness.ts';

const canUnshare = spawnSync('unshare', ['-Urpf', '--mount-proc', 'true']).status === 0;
const skip = !canUnshare && 'needs user namespaces';
const server = fixture('server.cjs');

/** A server that leaves an orphan every 20 ms, and tells how many zombies there are in this pid namespace. */
const littering = `
const { spawn } = require('node:child_process');
const { readdirSync, readFileSync } = require('node:fs');
let left = 0;
setInterval(() => { if (left < 150) { left++; spawn('sh', ['-c', '(sleep 0.05 &)']); } }, 20);
const zombies = () => readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).filter((pid) => {
  try { return /\\) Z 1 /.test(readFileSync('/proc/' + pid + '/stat', 'latin1')); } catch { return false; }
}).length;
require('node:http').createServer((_, response) => response.end(left + ' ' + zombies() + '\\n')).listen(process.env.PORT, '127.0.0.1');
process.on('SIGTERM', () => setTimeout(() => process.exit(5), 100));`;

test('as pid 1 it leaves no zombie, hears SIGTERM, and ends with the status of the command', { skip }, async () => {
  const port = await freePort();
  await using held = run(['hold', `127.0.0.1:${port}`, '--', process.execPath, '-e', littering], {
    before: ['unshare', '-Urpf', '--kill-child', '--mount-proc'],
    env: { PORT: String(port) },
  });
  await held.printed(/is ready/);
  let [left, zombies] = [0, 0];
  for (let i = 0; i < 200 && (left < 150 || zombies > 0); i++) {
    [left = 0, zombies = 0] = (await get(port)).split(' ').map(Number);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual([left, zombies], [150, 0]);
  // `unshare --fork` waits for its child and ends as it does; the signal is for hold itself.
  const children = spawnSync('pgrep', ['-P', String(held.pid)], { encoding: 'utf8' })
    .stdout.trim()
    .split('\n');
  assert.equal(children.length, 1);
  process.kill(Number(children[0]), 'SIGTERM');
  assert.equal(await held.ended, 5);
});

test('of a server below a shell that dies of the signal, the status is that of the server', async () => {
  const port = await freePort();
  const graceful = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 200)); require(${JSON.stringify(server)})`;
  const quoted = `'${graceful.replaceAll("'", `'\\''`)}'`;
  await using held = run(['hold', `127.0.0.1:${port}`, '--', 'sh', '-c', `${process.execPath} -e ${quoted}; true`], {
    env: { PORT: String(port), HOST: '127.0.0.1' },
  });
  await held.printed(/is ready/);
  held.child.kill('SIGTERM');
  assert.equal(await held.ended, 0);
});

test('while it reaps the orphans of a busy command, no exit of its own child is missed', async () => {
  const port = await freePort();
  // Each generation leaves orphans and dies; an exit that was taken from Node would end the chain.
  const source = `for (let i = 0; i < 5; i++) require('node:child_process').spawnSync('sh', ['-c', '(sleep 0.02 &)']);
require('node:http').createServer((_, response) => { response.end('ok', () => process.exit(1)); }).listen(process.env.PORT, '127.0.0.1', () => setTimeout(() => process.exit(1), 1100))`;
  await using held = run(['hold', `127.0.0.1:${port}`, '--', process.execPath, '-e', source], {
    env: { PORT: String(port) },
  });
  await held.printed(/Generation 5 .* is ready/);
});
