import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LoadResult, load, loadModes, lostOf } from '../../bench/load.ts';
import { fixture, nodes, start } from './harness.ts';

const restarts = 4;

for (const { name, path } of nodes()) {
  test(`${name}: an unmodified server loses nothing over ${restarts} restarts, whatever the traffic`, {
    skip: path === null && 'not installed: npm ci --prefix test/versions',
  }, async () => {
    await using hold = await start({
      command: [path ?? '', fixture('server.cjs')],
      env: { BOOT_MS: '200', BURN_MS: '1' },
      lingerMs: 1_000,
    });
    await hold.heard('ready');
    const end = new AbortController();
    const running = loadModes.map((mode) =>
      load({ host: '127.0.0.1', port: hold.port, mode, perSecond: 60, signal: end.signal }),
    );
    for (let i = 0; i < restarts; i++) {
      await sleep(400);
      assert.equal((await hold.held.restart()).outcome, 'done');
    }
    await hold.heard('retired', restarts);
    end.abort();
    for (const [index, result] of (await Promise.all(running)).entries()) nothingLost(result, loadModes[index] ?? '');
  });
}

function nothingLost(result: LoadResult, mode: string): void {
  const { refused, reset, eof, timeout, hang, other, sent, ok } = result;
  assert.deepEqual(
    { refused, reset, eof, timeout, hang, other },
    { refused: 0, reset: 0, eof: 0, timeout: 0, hang: 0, other: 0 },
    `${mode}: ${lostOf(result)} of ${sent} lost`,
  );
  assert.equal(ok, sent);
  // Traffic that reached one generation only would prove nothing.
  assert.ok(result.answers.size > restarts / 2, `${mode} was answered by ${result.answers.size} generations`);
}
