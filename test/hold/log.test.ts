/**
 * What hold writes to may be gone, full or stopped: the service goes on, and the command's own writes fail as they would without hold.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdRestart, holdStatus } from '../../src/hold/client.ts';
import type { HoldStatus } from '../../src/hold/index.ts';
import { type ParsedEndpoint, parseEndpoint } from '../../src/model/endpoint.ts';
import { fixture, freePort, get, rebind } from './harness.ts';

const directory = mkdtempSync(join(tmpdir(), 'rebind-log-'));
after(() => rmSync(directory, { recursive: true }));

async function statusOf(endpoint: ParsedEndpoint): Promise<HoldStatus | null> {
  const reply = await holdStatus(endpoint);
  return reply.kind === 'answer' ? reply.answer : null;
}

async function outcomeOf(endpoint: ParsedEndpoint): Promise<string> {
  const reply = await holdRestart(endpoint);
  return reply.kind === 'answer' ? reply.answer.outcome : reply.kind;
}

/** `rebind hold` with this as its stderr. */
async function holdWith(stderr: 'pipe' | number, command: readonly string[]) {
  const port = await freePort();
  const endpoint = parseEndpoint(`127.0.0.1:${port}`);
  const child = spawn(process.execPath, [rebind, 'hold', `127.0.0.1:${port}`, '--', ...command], {
    env: { ...process.env, NODE_OPTIONS: '', PORT: String(port), HOST: '127.0.0.1' },
    stdio: ['ignore', 'ignore', stderr],
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  while ((await statusOf(endpoint))?.current?.state !== 'ready') await sleep(20);
  return {
    child,
    port,
    endpoint,
    async [Symbol.asyncDispose]() {
      child.kill('SIGINT');
      const hurry = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(hurry);
    },
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let looks = 0; !isTrue(); looks++) {
    assert.ok(looks < 1_000, 'it did not happen within 20 s');
    await sleep(20);
  }
}

const server = [process.execPath, fixture('server.cjs')];

/** Restarts it twice and answers: nothing of hold has ended. */
async function servesOn(hold: Awaited<ReturnType<typeof holdWith>>): Promise<void> {
  for (const generation of [2, 3]) {
    assert.equal(await outcomeOf(hold.endpoint), 'done');
    assert.match(await get(hold.port), new RegExp(`^${generation} `));
  }
  assert.equal(hold.child.exitCode, null);
}

test('nobody reads the log any more: hold serves on, and the status says so', async () => {
  await using hold = await holdWith('pipe', server);
  hold.child.stderr?.destroy();
  await servesOn(hold);
  const { faults = [] } = (await statusOf(hold.endpoint)) ?? {};
  assert.deepEqual(
    faults.map(({ sentence }) => sentence),
    ['Writing the log failed, and everything goes on: no process reads it any more (EPIPE)'],
  );
});

test('the disk of the log is full: hold serves on, and the status says so', async () => {
  const full = openSync('/dev/full', 'w');
  await using hold = await holdWith(full, server);
  closeSync(full);
  await servesOn(hold);
  const { faults = [] } = (await statusOf(hold.endpoint)) ?? {};
  assert.match(faults[0]?.sentence ?? '', /^Writing the log failed, and everything goes on: .*\(ENOSPC\)$/);
});

test('a log that nobody reads for a while stops nothing, and what could not be told is counted', async () => {
  await using hold = await holdWith('pipe', server);
  const log = hold.child.stderr;
  assert(log !== null);
  log.pause();
  // More lines than a pipe and the queue hold are the work of many restarts; the queue alone is enough for a test of the rest.
  await servesOn(hold);
  let text = '';
  log.resume();
  log.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  while (!/Generation 3 .* is ready/.test(text)) await sleep(20);
});

/** What a program that writes to stderr meets, told by its answers. */
const writer = `
let met = 'nothing';
process.stderr.on('error', (error) => { met = error.code; });
require('node:http').createServer((_, response) => {
  process.stderr.write('a line\\n', (error) => { if (error) met = error.code; response.end(met + '\\n'); });
}).listen(process.env.PORT, '127.0.0.1')`;

for (const [name, code] of [
  ['a full disk', 'ENOSPC'],
  ['a reader that is gone', 'EPIPE'],
] as const)
  test(`the command meets ${name} as it would without hold`, async () => {
    const target = code === 'ENOSPC' ? openSync('/dev/full', 'w') : 'pipe';
    await using hold = await holdWith(target, [process.execPath, '-e', writer]);
    if (target === 'pipe') hold.child.stderr?.destroy();
    else closeSync(target);
    // The first write after the reader is gone is the one that tells hold.
    let answer = '';
    for (let i = 0; i < 50 && answer !== code; i++) answer = await get(hold.port);
    assert.equal(answer, code);
  });

test('the command can open its stderr by name, as a shell does for /dev/stderr', async () => {
  await using hold = await holdWith('pipe', ['sh', '-c', 'echo opened >/dev/stderr; exec "$0" "$1"', ...server]);
  let text = '';
  hold.child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await until(() => /^opened$/m.test(text));
});

test('a log file gets what the command writes straight, and its last lines are told when it fails', async () => {
  const path = join(directory, 'log');
  const file = openSync(path, 'w');
  await using hold = await holdWith(file, [
    'sh',
    '-c',
    'if [ "$REBIND_GENERATION" = 1 ]; then exec "$0" "$1"; else echo it is broken >&2; exit 3; fi',
    ...server,
  ]);
  closeSync(file);
  assert.equal(await outcomeOf(hold.endpoint), 'refused');
  assert.match(await get(hold.port), /^1 /);
  // Hold tells it to who asked, and to its log, one after the other.
  await until(() => /^it is broken$[\s\S]*^ {2}it is broken$/m.test(readFileSync(path, 'utf8')));
});
