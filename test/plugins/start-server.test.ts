/** A server that a test starts: this very one, its end with all that it started, and the reason when it is not the one. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isBlockedPortError } from '../../src/errors.ts';
import { webServer } from '../../src/plugins/playwright.ts';
import { startServer } from '../../src/plugins/test.ts';
import { close } from '../../src/server/close.ts';
import { listen } from '../../src/server/listen.ts';

const server = `require('node:http').createServer((_, response) => response.end(process.pid + '')).listen(process.env.PORT)`;
const node = (script: string): [string, ...string[]] => [process.execPath, '-e', script];

/** A process that has ended and whose parent has not asked yet is gone, too. */
function isThere(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('it answers by the time it is given, on a port of its own, and is gone after stop', async () => {
  await using one = await startServer({ command: node(server) });
  await using other = await startServer({ command: node(server) });
  assert.notEqual(one.port, other.port);
  assert.equal(await (await fetch(one.url)).text(), String(one.pid));
  assert.equal(await (await fetch(other.url)).text(), String(other.pid));
  await one.stop();
  assert.equal(isThere(one.pid), false);
  await one.stop();
});

test('what a wrapper started is found as the server, and stopped with the wrapper', async () => {
  const shell = `"${process.execPath}" -e "${server.replaceAll('"', '\\"')}" & wait`;
  const started = await startServer({ command: ['sh', '-c', shell] });
  const inner = Number(await (await fetch(started.url)).text());
  assert.notEqual(inner, started.pid);
  await started.stop();
  assert.equal(isThere(inner), false);
});

test('one that ignores SIGTERM is killed after the grace', async () => {
  const started = await startServer({ command: node(`process.on('SIGTERM', () => {}); ${server}`), graceMs: 100 });
  await started.stop();
  assert.equal(isThere(started.pid), false);
});

test("somebody else's server on the port is the reason, before anything is started", async () => {
  const other = createServer();
  const { port } = await listen(other, { port: 0, host: '127.0.0.1' });
  await assert.rejects(startServer({ command: node(server), port, host: '127.0.0.1' }), isBlockedPortError);
  await close(other, { idleMs: 10 });
});

test('one that ends, or never listens, is told with what it wrote', async () => {
  await assert.rejects(
    startServer({ command: node("console.error('no database'); process.exit(3)") }),
    /exited with status 3 before it listened on port \d+\. It wrote:\nno database/,
  );
  await assert.rejects(
    startServer({ command: node('setInterval(() => {}, 1000)'), timeoutMs: 300 }),
    /did not listen on port \d+ within 300 ms\. It wrote nothing/,
  );
  await assert.rejects(startServer({ command: ['/no/such/program'] }), /ENOENT/);
  await assert.rejects(startServer({ command: [] as never }), /command is a list of words/);
});

test('playwright gets the address, and a function that ends it', async () => {
  const end = await webServer({ command: node(server) })();
  const url = process.env['PLAYWRIGHT_TEST_BASE_URL'] ?? '';
  assert.equal((await fetch(url)).status, 200);
  await end();
  await sleep(50);
  await assert.rejects(fetch(url));
  delete process.env['PLAYWRIGHT_TEST_BASE_URL'];
});
