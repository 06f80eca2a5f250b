import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { load, lostOf } from '../../bench/load.ts';
import { fixture, get, isAlive, slowGet, start } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'rebind-restart-'));
after(() => rmSync(directory, { recursive: true }));
const node = [process.execPath, fixture('server.cjs')];
let files = 0;

/** A file that says what the next release does. */
function release(): { readonly path: string; now(mode: '' | 'crash' | 'hang'): void } {
  const path = join(directory, `mode-${++files}`);
  return { path, now: (mode) => writeFileSync(path, mode) };
}

test('a release that crashes at its start is refused with its error, and the old one answers all the time', async () => {
  const mode = release();
  await using hold = await start({ command: node, env: { MODE_FILE: mode.path } });
  await hold.heard('ready');
  mode.now('crash');
  const result = await hold.held.restart();
  assert.equal(result.outcome, 'refused');
  assert.match(
    result.why ?? '',
    /^Generation 2 exited with status 1 before it was ready: Error: this release is broken$/,
  );
  const refused = await hold.heard('refused');
  assert.equal(refused.serving, 1);
  assert.match(refused.lastLines.join('\n'), /this release is broken/);
  for (let i = 0; i < 10; i++) assert.match(await get(hold.port), /^1 /);
  mode.now('');
  assert.equal((await hold.held.restart()).outcome, 'done');
  assert.match(await get(hold.port), /^3 /);
});

test('a release that hangs before it listens is stopped after the ready timeout, and the old one answers all the time', async () => {
  const mode = release();
  await using hold = await start({ command: node, env: { MODE_FILE: mode.path }, readyTimeoutMs: 600 });
  await hold.heard('ready');
  mode.now('hang');
  const restart = hold.held.restart();
  for (let i = 0; i < 10; i++) assert.match(await get(hold.port), /^1 /);
  const result = await restart;
  assert.equal(result.outcome, 'refused');
  assert.match(result.why ?? '', /^Generation 2 did not listen on 127\.0\.0\.1:\d+ within 0\.6 s$/);
  // The first start was told before anybody could listen, so this is the new process's.
  assert.equal(isAlive((await hold.heard('start')).pid), false);
  assert.match(await get(hold.port), /^1 /);
});

test('a server that is killed is started again, and connections wait in the queue instead of being refused', async () => {
  await using hold = await start({ command: node, env: { BOOT_MS: '200' } });
  const { pid } = await hold.heard('ready');
  const end = new AbortController();
  const traffic = load({ host: '127.0.0.1', port: hold.port, mode: 'new', perSecond: 100, signal: end.signal });
  await sleep(200);
  process.kill(pid, 'SIGKILL');
  const crash = await hold.heard('crash');
  assert.deepEqual(crash.exit, { code: null, signal: 'SIGKILL' });
  assert.equal(crash.againInMs, 0);
  await hold.heard('ready', 2);
  await sleep(200);
  end.abort();
  const result = await traffic;
  assert.equal(result.refused, 0);
  assert.equal(result.timeout + result.hang, 0);
  // What it was answering when it was killed nobody can save: about two requests of 10 ms at this rate.
  assert.ok(lostOf(result) <= 6, `${lostOf(result)} lost`);
});

test('a server that keeps crashing is given up after so many failures, and the port refuses instead of hanging', async () => {
  await using hold = await start({ command: node, mostFailures: 2 });
  for (let i = 1; i <= 3; i++) {
    const { pid } = await hold.heard('ready', i);
    process.kill(pid, 'SIGKILL');
  }
  assert.equal(await hold.held.done, 137);
  assert.equal((await hold.heard('crash', 3)).againInMs, null);
  await assert.rejects(get(hold.port));
});

test('a server that served before each crash is started again at once, however often', async () => {
  await using hold = await start({ command: node, mostFailures: 2 });
  for (let i = 1; i <= 4; i++) {
    const { pid } = await hold.heard('ready', i);
    await sleep(1_050);
    process.kill(pid, 'SIGKILL');
    assert.equal((await hold.heard('crash', i)).againInMs, 0);
  }
  await hold.heard('ready', 5);
  assert.match(await get(hold.port), /^5 /);
});

test('of restarts in a storm the latest wins, and every other one says that it was superseded', async () => {
  await using hold = await start({ command: node, env: { BOOT_MS: '150' } });
  await hold.heard('ready');
  const restarts = [];
  for (let i = 0; i < 6; i++) {
    restarts.push(hold.held.restart());
    await sleep(20);
  }
  const outcomes = (await Promise.all(restarts)).map(({ outcome }) => outcome);
  assert.deepEqual(outcomes, [...new Array(5).fill('superseded'), 'done']);
  assert.match(await get(hold.port), /^7 /);
  await hold.heard('retired');
  assert.equal(hold.told.filter(({ name }) => name === 'retired').length, 1);
});

test('without overlap the old one ends before the new one starts, and nothing is lost meanwhile', async () => {
  await using hold = await start({ command: node, overlap: false, env: { BOOT_MS: '150' } });
  await hold.heard('ready');
  const end = new AbortController();
  const traffic = load({ host: '127.0.0.1', port: hold.port, mode: 'late', perSecond: 60, signal: end.signal });
  await sleep(100);
  assert.equal((await hold.held.restart()).outcome, 'done');
  assert.equal((await hold.held.restart()).outcome, 'done');
  await sleep(100);
  end.abort();
  const result = await traffic;
  assert.equal(lostOf(result), 0, JSON.stringify(result));
  const order = hold.told.filter(({ name }) => name === 'retired' || name === 'start').map(({ name }) => name);
  assert.deepEqual(order, ['retired', 'start', 'retired', 'start']);
});

test('an edit restarts the server, and an edit that does not start leaves the last good one serving', async () => {
  const file = join(directory, 'edited.cjs');
  const write = (text: string): void => writeFileSync(file, text);
  const server = (text: string): string =>
    `require('node:http').createServer((_, r) => r.end('${text}')).listen(Number(process.env.PORT), '127.0.0.1')`;
  write(server('one'));
  await using hold = await start({ command: [process.execPath, file], watch: [file] });
  await hold.heard('ready');
  assert.equal(await get(hold.port), 'one');
  write('this is ( not JavaScript');
  const { why } = await hold.heard('refused');
  assert.match(why, /exited with status 1 before it was ready/);
  assert.equal(await get(hold.port), 'one');
  write(server('two'));
  await hold.heard('ready', 2);
  assert.equal(await get(hold.port), 'two');
});

test('a request that is under way when the restart comes gets its answer from the old server', async () => {
  await using hold = await start({ command: node, env: { ANSWER_MS: '3000' } });
  await hold.heard('ready');
  const slow = slowGet(hold.port);
  await slow.received;
  await hold.held.restart();
  const [answered, retired] = await Promise.all([slow.answer, hold.heard('retired')]);
  assert.match(answered, /^1 /);
  assert.equal(retired.forced, false);
  assert.deepEqual(retired.counts, { finished: 1, idle: 0, killed: 0, handedOff: 0 });
});

test('a program that closes its server at SIGTERM, after hold did, is told that it went well', async () => {
  const file = join(directory, 'closed');
  await using hold = await start({
    command: [process.execPath, fixture('shapes.cjs'), 'closing'],
    env: { CLOSED: file },
  });
  await hold.heard('ready');
  assert.equal(await get(hold.port), 'open');
  await hold.held.restart();
  await hold.heard('retired');
  assert.equal(readFileSync(file, 'utf8'), 'closed');
});

test('a request that takes longer than the grace is cut off, and counted', async () => {
  await using hold = await start({ command: node, env: { ANSWER_MS: '60000' }, graceMs: 400 });
  await hold.heard('ready');
  const slow = slowGet(hold.port);
  const isCut = assert.rejects(slow.answer);
  await slow.received;
  await hold.held.restart();
  const { counts } = await hold.heard('retired');
  assert.equal(counts?.killed, 1);
  await isCut;
});

test('a clock that jumps changes nothing: every wait is measured by the monotonic clock', async (context) => {
  await using hold = await start({ command: node, readyTimeoutMs: 5_000 });
  await hold.heard('ready');
  context.mock.method(Date, 'now', () => 0);
  assert.equal((await hold.held.restart()).outcome, 'done');
  await hold.heard('retired');
  assert.match(await get(hold.port), /^2 /);
});

test('a new process that dies just after it was ready, while the old one drains, is replaced at once: nobody is refused or left hanging', async () => {
  // Generation 2 serves for 50 ms; the ones after it stay.
  const source = `require(${JSON.stringify(fixture('server.cjs'))}); if (process.env.REBIND_GENERATION === '2') setTimeout(() => process.exit(9), 150)`;
  await using hold = await start({ command: [process.execPath, '-e', source] });
  await hold.heard('ready');
  const end = new AbortController();
  const modes = ['new', 'late', 'keep-alive'] as const;
  const traffic = modes.map((mode) =>
    load({ host: '127.0.0.1', port: hold.port, mode, perSecond: 40, signal: end.signal }),
  );
  await sleep(200);
  assert.equal((await hold.held.restart()).outcome, 'done');
  assert.equal((await hold.heard('crash')).againInMs, 0);
  await hold.heard('ready', 3);
  await sleep(200);
  end.abort();
  const results = await Promise.all(traffic);
  const lost = results.reduce((sum, result) => sum + lostOf(result), 0);
  for (const { refused, timeout, hang } of results) assert.deepEqual([refused, timeout, hang], [0, 0, 0]);
  // Only what the dead one had accepted: about one request of 10 to 30 ms of each kind at this rate.
  assert.ok(lost <= 8, `${lost} lost`);
});
