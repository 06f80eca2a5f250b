import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { close, connect, listen, reserve } from '../../src/index.ts';

const quick = { graceMs: 200, idleMs: 20, firstByteMs: 20 } as const;

test('each connection comes out of the iterator, through three restarts of the server', async () => {
  const port = await reserve({ host: '127.0.0.1' });
  let server = net.createServer((socket) => socket.end('hello'));
  await port.listen(server);
  const client = connect({ port: port.port, host: '127.0.0.1', firstPauseMs: 5 });
  let outages = 0;
  client.on('disconnect', () => outages++);
  let greetings = 0;
  for await (const socket of client) {
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.equal(text, 'hello');
    if (++greetings === 4) break;
    await close(server, quick);
    server = net.createServer((next) => next.end('hello'));
    setTimeout(() => void listen(server, { port: port.port, host: '127.0.0.1' }), 30);
  }
  assert.ok(outages >= 3);
  await close(server, quick);
});

test('it waits for a server that is not there yet, and tells each retry', async () => {
  const port = await reserve({ host: '127.0.0.1' });
  const client = connect({ port: port.port, host: '127.0.0.1', firstPauseMs: 5, longestPauseMs: 20 });
  const retries: number[] = [];
  client.on('retry', ({ attempt, pauseMs, error }) => {
    assert.equal(error.code, 'ECONNREFUSED');
    assert.ok(pauseMs <= 20);
    retries.push(attempt);
  });
  const server = net.createServer();
  setTimeout(() => void port.listen(server), 100);
  const [socket, { outageMs }] = (await once(client, 'connect')) as [net.Socket, { outageMs: number }];
  assert.equal(client.socket, socket);
  assert.ok(outageMs >= 50, String(outageMs));
  assert.deepEqual(retries.slice(0, 3), [1, 2, 3]);
  client.close();
  await once(client, 'close');
  await close(server, quick);
});

test('a server that accepts and hangs up at once is not asked thousands of times a second', async () => {
  let accepted = 0;
  const server = net.createServer((socket) => {
    accepted++;
    socket.destroy();
  });
  const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
  const client = connect({ port, host: '127.0.0.1', signal: AbortSignal.timeout(600) });
  await once(client, 'close');
  // At 0, 0, 25, 75, 175 and 375 ms, a quarter earlier at the most.
  assert.ok(accepted >= 4 && accepted <= 7, String(accepted));
  await close(server, quick);
});

test('the deadline of an outage ends the iteration with the last error', async () => {
  using port = await reserve({ host: '127.0.0.1' });
  const startMs = performance.now();
  await assert.rejects(
    async () => {
      for await (const _ of connect({ port: port.port, host: '127.0.0.1', deadlineMs: 150, firstPauseMs: 5 }))
        assert.fail();
    },
    {
      code: 'ECONNREFUSED',
      message: new RegExp(
        `^Cannot connect to 127\\.0\\.0\\.1:${port.port}: gave up after 0\\.\\d s and \\d+ tries\\. The last one failed with connect ECONNREFUSED`,
      ),
    },
  );
  assert.ok(performance.now() - startMs < 2000);
  const client = connect({ port: port.port, host: '127.0.0.1', deadlineMs: 20 });
  assert.equal(((await once(client, 'error')) as [NodeJS.ErrnoException])[0].code, 'ECONNREFUSED');
});

test('a port and a text say where, too', async () => {
  // The client resets what it does not read any more.
  const server = net.createServer((socket) => socket.on('error', () => {}).end('here'));
  const { port } = await listen(server, { port: 0 });
  for (const target of [port, String(port), `localhost:${port}`, `[::1]:${port}`, { port: String(port) }]) {
    for await (const socket of connect(target, { deadlineMs: 2000 })) {
      socket.resume();
      break;
    }
  }
  await close(server, quick);
});

test('what a name with several addresses answers is in the error', async () => {
  using port = await reserve();
  const [error] = (await once(connect(`localhost:${port.port}`, { deadlineMs: 1 }), 'error')) as [Error];
  assert.match(
    error.message,
    /^Cannot connect to localhost:\d+: gave up .* failed with connect ECONNREFUSED \S+:\d+\. .* does not listen/,
  );
  assert.equal((error as NodeJS.ErrnoException).code, 'ECONNREFUSED');
});

test('aborting and closing end the iteration without an error', async () => {
  using port = await reserve({ host: '127.0.0.1' });
  const now = new AbortController();
  setTimeout(() => now.abort(), 30);
  for await (const _ of connect({ port: port.port, host: '127.0.0.1', signal: now.signal })) assert.fail();
  for await (const _ of connect({ port: port.port, host: '127.0.0.1', signal: AbortSignal.abort() })) assert.fail();
});

test('TLS', async () => {
  const fixtures = new URL('../../../test/fixtures/', import.meta.url);
  const cert = readFileSync(new URL('localhost.cert.pem', fixtures));
  const server = tls.createServer({ cert, key: readFileSync(new URL('localhost.key.pem', fixtures)) }, (socket) =>
    socket.end('secret'),
  );
  const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
  for await (const socket of connect({ port, host: '127.0.0.1', tls: { ca: cert, servername: 'localhost' } })) {
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.equal(text, 'secret');
    break;
  }
  await close(server, quick);
});

test('it never connects to itself: with 64 automatic ports and nobody listening, 2,000 tries are all refused', {
  skip: cannotUnshare(),
  timeout: 60_000,
}, () => {
  const script = fileURLToPath(new URL('programs/self-connect.js', import.meta.url));
  const inside = 'ip link set lo up; echo 34000 34063 > /proc/sys/net/ipv4/ip_local_port_range; exec "$@"';
  const output = execFileSync('unshare', ['-Urn', 'sh', '-c', inside, 'sh', process.execPath, script], {
    encoding: 'utf8',
  });
  const { refused, self, plainSelf } = JSON.parse(output) as { refused: number; self: number; plainSelf: number };
  assert.ok(plainSelf > 0, 'the kernel never connected a plain socket to itself, so this shows nothing');
  assert.equal(self, 0);
  assert.ok(refused >= 2000, String(refused));
});

test('wrong arguments', () => {
  assert.throws(() => connect({}), { name: 'TypeError', message: /either a port or a path/ });
  assert.throws(() => connect({ port: 0 }), RangeError);
  assert.throws(() => connect({ port: 70_000 }), RangeError);
  assert.throws(() => connect({ port: 1, deadlineMs: -1 }), RangeError);
  assert.throws(() => connect('udp/3000'), { name: 'TypeError', message: /UDP has no connections/ });
  assert.throws(() => connect(null as never), TypeError);
  assert.throws(() => connect({ port: 1, deadline: 5 } as never), { name: 'TypeError', message: /'deadline' is not/ });
  assert.throws(() => connect({ port: 1, tls: 5 as never }), { name: 'TypeError', message: /tls is true, false, or/ });
  assert.throws(() => connect({ port: 1, signal: 5 as never }), { name: 'TypeError', message: /AbortSignal/ });
});

function cannotUnshare(): string | false {
  try {
    execFileSync('unshare', ['-Urn', 'true'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'this machine allows no private network namespaces';
  }
}
