/** A command that asks for a port of its own, on the port that is leased to it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { lease } from '../../src/server/lease.ts';
import { listen } from '../../src/server/listen.ts';
import { type Running, run } from './command.ts';
import { get } from './harness.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** A worktree whose server has a port in its source. */
function worktree(server: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-lease-'));
  folders.push(folder);
  writeFileSync(join(folder, 'package.json'), '{}');
  writeFileSync(join(folder, 'server.js'), server);
  return folder;
}

function leased(folder: string, words: readonly string[] = []): Running {
  return run(['lease', ...words, '--', process.execPath, 'server.js'], { cwd: folder });
}

async function portOf(held: Running): Promise<number> {
  const [, asked, port] = await held.printed(/Port (\d+) of the program is port (\d+) here: http:\/\/localhost:\2/);
  assert.notEqual(asked, port);
  await held.printed(/ is ready|was ready/);
  return Number(port);
}

/** A fixed port that a test may ask for: whether it is free makes no difference to a lease. */
const fixed = 3210;
const plain = (name: string): string =>
  `require('node:http').createServer((_, response) => response.end('${name} ' + process.env.PORT)).listen(${fixed})`;

test('two worktrees with one port in their source serve beside each other, each on its own port again', async () => {
  const [a, b] = [worktree(plain('a')), worktree(plain('b'))];
  let first = 0;
  {
    await using one = leased(a);
    await using other = leased(b);
    first = await portOf(one);
    const second = await portOf(other);
    assert.equal(await get(first, '/', 'localhost'), `a ${first}`);
    assert.equal(await get(second, '/', 'localhost'), `b ${second}`);
  }
  await using again = leased(a);
  assert.equal(await portOf(again), first);
});

test('the first fixed port is meant, in all processes of the command; others, and those of tools, keep their numbers', async () => {
  const side = createServer();
  const { port: free } = await listen(side, { port: 0, host: '127.0.0.1' });
  await new Promise((resolve) => side.close(resolve));
  const folder = worktree(`
    const http = require('node:http');
    const { spawn } = require('node:child_process');
    if (process.argv[2] === 'child') {
      http.createServer((_, response) => response.end('child')).listen(${fixed}, '127.0.0.1');
    } else {
      const other = http.createServer((_, response) => response.end('other'));
      const child = spawn(process.execPath, ['server.js', 'child'], { stdio: 'inherit' });
      setTimeout(() => other.listen(${free}, '127.0.0.1', () => console.log('other is on', other.address().port)), 1500);
      process.on('SIGTERM', () => { child.kill(); process.exit(); });
    }`);
  await using held = leased(folder);
  const port = await portOf(held);
  assert.equal(await get(port), 'child');
  await held.printed(new RegExp(`other is on ${free}`));
  assert.equal(await get(free), 'other');
});

test('a program that takes PORT is served there, and nothing is said of another one', async () => {
  await using held = leased(
    worktree("require('node:http').createServer((_, r) => r.end('ok')).listen(process.env.PORT)"),
  );
  const [, port = ''] = await held.printed(/PORT=(\d+)/);
  await held.printed(/ is ready|was ready/);
  assert.equal(await get(Number(port), '/', 'localhost'), 'ok');
  assert.doesNotMatch(held.stderr(), /of the program is port/);
});

test('one that looks first whether its port is free is served where it listens', async () => {
  await using held = leased(
    worktree(`
    const net = require('node:net');
    const probe = net.createServer();
    probe.listen(${fixed}, '0.0.0.0', () => probe.close(() =>
      require('node:http').createServer((_, r) => r.end('ok')).listen(${fixed}, '127.0.0.1', function () { console.log('at', this.address().port); })));`),
  );
  const port = await portOf(held);
  await held.printed(new RegExp(`at ${port}`));
  assert.equal(await get(port), 'ok');
});

test('without a command it is one sentence and exit 2', async () => {
  await using held = run(['lease']);
  assert.equal(await held.ended, 2);
  assert.match(held.stderr(), /A command is needed after --/);
});

test('lease() reserves the same port again, and another one while it is taken', async () => {
  const key = `a test of ${process.pid}`;
  const first = await lease({ key });
  const second = await lease({ key });
  assert.notEqual(first.port, second.port);
  first.release();
  using again = await lease({ key });
  assert.equal(again.port, first.port);
  second.release();
  await assert.rejects(lease({ key: 3 as never }), TypeError);
  await assert.rejects(lease({ kee: 'x' } as never), TypeError);
});
