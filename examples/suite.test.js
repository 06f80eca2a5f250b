/**
 * A test suite whose servers never meet: each test has a port of its own, bound from the start, also when suites run side by side.
 *
 *   node --test examples/suite.test.js
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { close, reserve, wait } from 'rebind';

test('a server in this process', async () => {
  const reserved = await reserve({ host: '127.0.0.1' });
  const server = http.createServer((_request, response) => response.end('hello'));
  await reserved.listen(server);
  const response = await fetch(`http://127.0.0.1:${reserved.port}/`);
  assert.equal(await response.text(), 'hello');
  await close(server, { idleMs: 0 });
});

test('a server in a child that is told its port', async () => {
  const reserved = await reserve();
  const program = `require('node:http').createServer((_, response) => response.end('child')).listen(process.env.PORT)`;
  const child = spawn(process.execPath, ['-e', program], { env: { ...process.env, PORT: String(reserved.port) } });
  // Not a stale server, and no polling: the listener must belong to this child.
  const { done } = await wait(reserved.port, { for: 'open', pid: child.pid, timeoutMs: 10_000 });
  assert.ok(done);
  const response = await fetch(`http://127.0.0.1:${reserved.port}/`);
  assert.equal(await response.text(), 'child');
  child.kill();
  await once(child, 'exit');
  reserved.release();
});
