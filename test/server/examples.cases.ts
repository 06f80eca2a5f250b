import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { reserve } from '../../src/index.ts';

// A copy beside a package of that name, so that they import 'rebind' as they would in a project of their own.
const folder = fileURLToPath(new URL('../../examples/', import.meta.url));
mkdirSync(`${folder}/node_modules/rebind`, { recursive: true });
cpSync(fileURLToPath(new URL('../../../examples/', import.meta.url)), folder, { recursive: true });
writeFileSync(`${folder}/package.json`, '{ "type": "module" }');
writeFileSync(`${folder}/node_modules/rebind/package.json`, '{ "type": "module", "exports": "./index.js" }');
writeFileSync(`${folder}/node_modules/rebind/index.js`, "export * from '../../../src/index.js';");

const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

interface Running {
  child: ChildProcess;
  lines: string[];
  /** Resolves with the first line, seen before or to come, that matches. */
  line(pattern: RegExp): Promise<string>;
  end(signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

function example(name: string, port: number, args: string[] = [], env: Record<string, string> = {}): Running {
  const inherited = { ...process.env };
  // Set by the runner above us; with it a test file reports in a binary form.
  delete inherited['NODE_TEST_CONTEXT'];
  const child = spawn(process.execPath, ['--no-warnings', `${folder}${name}`, ...args], {
    env: { ...inherited, PORT: String(port), ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  children.add(child);
  const lines: string[] = [];
  const readers: Interface[] = [createInterface({ input: child.stdout }), createInterface({ input: child.stderr })];
  for (const reader of readers) reader.on('line', (line) => lines.push(line));
  return {
    child,
    lines,
    line: async (pattern) => {
      const endMs = performance.now() + 15_000;
      for (;;) {
        const found = lines.find((line) => pattern.test(line));
        if (found !== undefined) return found;
        assert.ok(performance.now() < endMs, `${name} never said ${pattern}, only:\n${lines.join('\n')}`);
        await sleep(10);
      }
    },
    end: async (signal) => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill(signal);
        await once(child, 'exit');
      }
      children.delete(child);
      return child.signalCode ?? child.exitCode;
    },
  };
}

/** Held only until the example has it: a Node server may listen on it meanwhile. */
async function port(): Promise<number> {
  using reserved = await reserve({ host: '127.0.0.1' });
  return reserved.port;
}

test('chat: the server is killed with clients connected and started again at once, and the clients carry on', async () => {
  const at = await port();
  const first = example('chat-server.js', at);
  await first.line(/^listening/);
  const ann = example('chat-client.js', at, ['ann']);
  const bob = example('chat-client.js', at, ['bob']);
  await Promise.all([
    ann.line(new RegExp(`process ${first.child.pid}`)),
    bob.line(new RegExp(`process ${first.child.pid}`)),
  ]);
  ann.child.stdin?.write('one\n');
  await bob.line(/^ann: one$/);
  // What a server is killed without having read makes the kernel reset the connection.
  first.child.kill('SIGSTOP');
  ann.child.stdin?.write('lost\n');
  await sleep(100);
  await first.end('SIGKILL');
  const startMs = performance.now();
  const second = example('chat-server.js', at);
  await second.line(/^listening/);
  await Promise.all([
    ann.line(new RegExp(`process ${second.child.pid}`)),
    bob.line(new RegExp(`process ${second.child.pid}`)),
  ]);
  assert.ok(performance.now() - startMs < 5000, 'the restart had to wait');
  bob.child.stdin?.write('two\n');
  await ann.line(/^bob: two$/);

  // And without a gap: the third takes over from the second.
  const third = example('chat-server.js', at);
  await third.line(new RegExp(`taken over from process ${second.child.pid}`));
  await ann.line(new RegExp(`process ${third.child.pid}`));
  await bob.line(new RegExp(`process ${third.child.pid}`));
  ann.child.stdin?.write('three\n');
  await bob.line(/^ann: three$/);
  await Promise.all([ann.end('SIGTERM'), bob.end('SIGTERM')]);
  assert.equal(await third.end('SIGTERM'), 'SIGTERM');
});

test('express: waits for its port, says not ready while it stops, and ends with the honest status', async () => {
  const at = await port();
  const first = example('express.js', at, [], { LAME_DUCK_MS: '500' });
  await first.line(/^listening/);
  const second = example('express.js', at);
  assert.equal(await (await fetch(`http://127.0.0.1:${at}/`)).text(), 'hello');
  assert.equal((await fetch(`http://127.0.0.1:${at}/ready`)).status, 200);
  first.child.kill('SIGTERM');
  let status = 200;
  for (const endMs = performance.now() + 400; status === 200 && performance.now() < endMs; )
    status = (await fetch(`http://127.0.0.1:${at}/ready`)).status;
  assert.equal(status, 503);
  await second.line(/^listening/);
  assert.equal(await first.end('SIGTERM'), 'SIGTERM');
  assert.equal(await second.end('SIGINT'), 'SIGINT');
});

test('express: a port that stays blocked is explained', async () => {
  const at = await port();
  const first = example('express.js', at);
  await first.line(/^listening/);
  const second = example('express.js', at);
  await second.line(new RegExp(`Cannot listen on .*\\b${at} .*${first.child.pid}`));
  if (second.child.exitCode === null) await once(second.child, 'exit');
  assert.equal(second.child.exitCode, 1);
  await first.end('SIGKILL');
});

test('fastify: answers, and its successor takes over', async () => {
  const at = await port();
  const first = example('fastify.js', at);
  await first.line(/^listening/);
  const second = example('fastify.js', at);
  await second.line(/^listening/);
  assert.deepEqual(await (await fetch(`http://127.0.0.1:${at}/`)).json(), { hello: 'world' });
  assert.equal(first.child.signalCode ?? (await once(first.child, 'exit'))[1], 'SIGTERM');
  assert.equal(await second.end('SIGTERM'), 'SIGTERM');
});

test('WebSocket: clients are told 1012 and find the next server', async () => {
  const at = await port();
  const first = example('websocket.js', at);
  await first.line(/^listening/);
  const client = new WebSocket(`ws://127.0.0.1:${at}`);
  await once(client, 'open');
  client.send('hello');
  assert.equal(String((await once(client, 'message'))[0]), 'hello');
  const gone = once(client, 'close');
  const second = example('websocket.js', at);
  await second.line(/^listening/);
  assert.equal((await gone)[0], 1012);
  const again = new WebSocket(`ws://127.0.0.1:${at}`);
  await once(again, 'open');
  again.terminate();
  await second.end('SIGTERM');
});

test('the test suite that uses reserve() passes, three times side by side', async () => {
  const runs = [1, 2, 3].map(() => example('suite.test.js', 0));
  await Promise.all(
    runs.map(async (run) => {
      if (run.child.exitCode === null) await once(run.child, 'exit');
      assert.equal(run.child.exitCode, 0, run.lines.join('\n'));
    }),
  );
});
