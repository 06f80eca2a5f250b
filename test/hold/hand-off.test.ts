/**
 * Idle keep-alive connections that go on in the next generation.
 */
import assert from 'node:assert/strict';
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { load, lostOf } from '../../bench/load.ts';
import { controlPath } from '../../src/hold/wire/passed.ts';
import { os } from '../../src/os/index.ts';
import { fixture, nodes, start } from './harness.ts';

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
// An idle connection would be waited for when hold stops.
afterEach(() => agent.destroy());

/** One request over the agent's connection: who answered, and from which local port it was asked. */
function ask(port: number, over = agent): Promise<{ generation: string; localPort: number; close: boolean }> {
  return new Promise((resolve, reject) => {
    const call = http.get({ host: '127.0.0.1', port, agent: over }, (response) => {
      const { localPort } = response.socket as net.Socket & { localPort: number };
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () =>
        resolve({
          generation: text.split(' ')[0] ?? '',
          localPort,
          close: response.headers.connection === 'close',
        }),
      );
    });
    call.on('error', reject);
  });
}

for (const { name, path } of nodes()) {
  describe(name, { skip: path === null && 'not installed: npm ci --prefix test/versions' }, () => {
    test('a kept connection is answered by one generation after the other', async () => {
      await using hold = await start({ command: [path ?? '', fixture('server.cjs')], handOff: true, lingerMs: 5_000 });
      await hold.heard('ready');
      const first = await ask(hold.port);
      for (let generation = 2; generation <= 5; generation++) {
        const startMs = performance.now();
        assert.equal((await hold.held.restart()).outcome, 'done');
        const retired = await hold.heard('retired', generation - 1);
        assert.deepEqual(retired.counts, { finished: 0, idle: 0, killed: 0, handedOff: 1 });
        // Nothing is waited for: neither the linger nor the grace.
        assert.ok(performance.now() - startMs < 4_000);
        assert.deepEqual(await ask(hold.port), {
          generation: String(generation),
          localPort: first.localPort,
          close: false,
        });
      }
      agent.destroy();
    });

    test('nothing is lost of keep-alive, new and late traffic over 10 restarts', async () => {
      await using hold = await start({ command: [path ?? '', fixture('server.cjs')], handOff: true });
      await hold.heard('ready');
      const end = new AbortController();
      const traffic = (['keep-alive', 'new', 'late', 'post'] as const).map((mode) =>
        load({ host: '127.0.0.1', port: hold.port, mode, perSecond: 50, signal: end.signal }),
      );
      let moved = 0;
      for (let i = 1; i <= 10; i++) {
        assert.equal((await hold.held.restart()).outcome, 'done');
        const { counts } = await hold.heard('retired', i);
        moved += counts?.handedOff ?? 0;
      }
      await sleep(300);
      end.abort();
      for (const result of await Promise.all(traffic))
        assert.equal(lostOf(result), 0, JSON.stringify({ ...result, answers: null }));
      // At this rate one to three connections are kept, and each restart moves those that are idle.
      assert.ok(moved >= 10, `only ${moved} connections were moved`);
    });
  });
}

test('a connection whose answer is under way is moved after it, and a half-read request is not', async () => {
  await using hold = await start({
    command: [process.execPath, fixture('server.cjs')],
    handOff: true,
    env: { ANSWER_MS: '400' },
    lingerMs: 3_000,
  });
  await hold.heard('ready');
  const slow = ask(hold.port);
  const half = net.connect(hold.port, '127.0.0.1');
  half.write('GET / HTTP/1.1\r\nHost: x\r\n');
  await sleep(200);
  const restart = hold.held.restart();
  assert.equal((await slow).generation, '1');
  await restart;
  half.write('\r\n');
  const [text] = (await new Promise((resolve) => half.once('data', (data) => resolve([String(data)])))) as [string];
  // Half of its request is known to the old program only.
  assert.match(text, /\r\n1 \d+\n/);
  const { counts } = await hold.heard('retired');
  assert.equal(counts?.killed, 0);
  assert.ok((counts?.handedOff ?? 0) >= 1);
  assert.equal((await ask(hold.port)).generation, '2');
  agent.destroy();
  half.destroy();
});

test('a moved connection is closed by the new program after its keep-alive timeout', async () => {
  await using hold = await start({
    command: [process.execPath, fixture('server.cjs')],
    handOff: true,
    env: { KEEP_ALIVE_MS: '700' },
  });
  await hold.heard('ready');
  const socket = net.connect(hold.port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await new Promise((resolve) => socket.once('data', resolve));
  await hold.held.restart();
  assert.equal((await hold.heard('retired')).counts?.handedOff, 1);
  const startMs = performance.now();
  const rest: string[] = [];
  socket.on('data', (data) => rest.push(String(data)));
  await new Promise((resolve) => socket.once('end', resolve));
  assert.ok(performance.now() - startMs < 5_000);
  // No unasked 408 or anything else.
  assert.deepEqual(rest, []);
});

test('without the option idle connections are closed, and none is moved', async () => {
  await using hold = await start({ command: [process.execPath, fixture('server.cjs')] });
  await hold.heard('ready');
  const over = new http.Agent({ keepAlive: true, maxSockets: 1 });
  await ask(hold.port, over);
  await hold.held.restart();
  assert.deepEqual((await hold.heard('retired')).counts, { finished: 0, idle: 1, killed: 0, handedOff: 0 });
  over.destroy();
});

test('a stranger who sends a descriptor to the receiver without the token is not served', async () => {
  const { receive } = await import('../../src/adopt/hand-off.ts');
  const server = http.createServer();
  let connections = 0;
  server.on('connection', () => connections++);
  const receiver = receive(server, 'the token');
  assert(receiver !== null);
  const { sockets } = os();
  const fd = sockets.open('unix-datagram', 4);
  sockets.connect(fd, { protocol: 'unix', path: controlPath(receiver.name) });
  const [near, far] = await pair();
  const descriptor = (far as unknown as { _handle: { fd: number } })._handle.fd;
  sockets.sendDescriptors(fd, [descriptor], Buffer.from('a guess'));
  await sleep(100);
  assert.equal(connections, 0);
  sockets.sendDescriptors(fd, [descriptor], Buffer.from('the token'));
  // Closing takes what was sent before, and refuses what comes after.
  receiver.close();
  assert.equal(connections, 1);
  assert.throws(() => sockets.sendDescriptors(fd, [descriptor], Buffer.from('the token')), { code: 'ECONNREFUSED' });
  sockets.close(fd);
  near.destroy();
  far.destroy();
  server.closeAllConnections();
});

/** Both ends of a TCP connection of this process. */
async function pair(): Promise<[net.Socket, net.Socket]> {
  const listener = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const accepted = new Promise<net.Socket>((resolve) => listener.once('connection', resolve));
  const near = net.connect((listener.address() as net.AddressInfo).port, '127.0.0.1');
  const far = await accepted;
  listener.close();
  return [near, far];
}
