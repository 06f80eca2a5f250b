/** What Node's own listen() takes, ours takes; what it refuses, ours refuses with the same code; and closing wins against listening. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { close, getOption, type ListenOptions, listen, reserve } from '../../src/index.ts';

const path = `\0rebind-like-node-${process.pid}`;

test('both take the same options and listen on the same kind of address', async () => {
  const both: ListenOptions[] = [
    { port: '0' },
    { port: null },
    { port: undefined },
    { port: undefined, path },
    { port: 0, path },
    { port: 0, path: undefined, host: undefined, backlog: undefined, exclusive: undefined, signal: undefined },
    { port: 0, host: null },
    { port: 0, host: '' },
    { port: 0, backlog: 0 },
    { port: 0, backlog: '5' },
    { port: 0, backlog: -1 },
    { port: 0, exclusive: true },
    { port: 0, host: '::', ipv6Only: true },
    { port: '0x0', host: 'localhost' },
    { path },
  ];
  for (const options of both) {
    const plain = net.createServer();
    plain.listen(options as net.ListenOptions);
    await once(plain, 'listening');
    const of = kind(plain);
    plain.close();
    await once(plain, 'close');
    const ours = net.createServer();
    await listen(ours, options);
    assert.deepEqual(kind(ours), of, JSON.stringify(options));
    await close(ours);
  }
  for (const target of [undefined, null]) {
    const server = net.createServer();
    assert.ok((await listen(server, target)).port > 0);
    await close(server);
  }
});

function kind(server: net.Server): unknown {
  const address = server.address();
  if (address === null || typeof address === 'string') return address;
  const key = (server as { _connectionKey?: string })._connectionKey;
  return { ...address, port: address.port > 0, key: key?.replace(/\d+$/, '') };
}

test('IPv6 only is IPv6 only, by either name and with or without a host', async () => {
  for (const options of [
    { ipv6Only: true },
    { v6Only: true },
    { v6Only: true, host: '::' },
    { ipv6Only: true, keepAlive: true },
  ]) {
    const server = net.createServer();
    const { address } = await listen(server, { port: 0, ...options });
    assert.equal(address, '::');
    assert.equal(getOption(server, 'IPV6_V6ONLY'), true, JSON.stringify(options));
    await close(server);
  }
});

test('both refuse the same options with the same code', async () => {
  const refused = [
    { port: 65_536 },
    { port: -1 },
    { port: 1.5 },
    { port: 'abc' },
    { port: '' },
    { port: true },
    { port: {} },
    {},
    { path: '' },
    { path: '3000' },
    { path: 5 },
    { port: 0, host: 5 },
    { port: 0, signal: 'x' },
    { port: 0, signal: null },
    { path, readableAll: true },
    { port: 0, host: 'no.such.host.invalid' },
    { port: 0, host: '192.0.2.1' },
    { path: '/no/such/folder/app.sock' },
  ];
  for (const options of refused) {
    const plain = net.createServer();
    const codeOfNode = await new Promise((resolve) => {
      plain.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      try {
        plain.listen(options as net.ListenOptions);
      } catch (error) {
        resolve((error as NodeJS.ErrnoException).code);
      }
    });
    await assert.rejects(
      listen(net.createServer(), options as ListenOptions),
      { code: codeOfNode },
      JSON.stringify(options),
    );
  }
});

test('a descriptor is listened on', async () => {
  const first = net.createServer();
  const { port } = await listen(first, { port: 0, host: '127.0.0.1' });
  const { os } = await import('../../src/os/index.ts');
  const { descriptor } = await import('../../src/index.ts');
  const server = net.createServer((socket) => socket.end('from the descriptor'));
  const fd = os().sockets.duplicate(descriptor(first));
  await close(first);
  const at = await listen(server, { fd });
  assert.deepEqual([at.protocol, at.address, at.port], ['tcp', '127.0.0.1', port]);
  const client = net.connect(port, '127.0.0.1');
  client.setEncoding('utf8');
  assert.equal((await once(client, 'data'))[0], 'from the descriptor');
  await close(server);
});

/** Both ways to close, each at once and a little later. */
const closers: Readonly<Record<string, (server: net.Server) => Promise<unknown>>> = {
  "Node's close": (server) => new Promise((resolve) => server.close(resolve)),
  'close()': (server) => close(server),
};

for (const [name, closeIt] of Object.entries(closers)) {
  for (const [what, options] of Object.entries<ListenOptions>({
    'an address': { port: 0, host: '127.0.0.1' },
    'a name': { port: 0, host: 'localhost' },
    'an option beyond Node': { port: 0, host: 'localhost', keepAlive: true },
    next: { port: 0, busy: 'next' },
    'take-over': { port: 0, busy: 'take-over' },
    'a path': { path: `${path}-closed` },
  })) {
    test(`${name} during listen() with ${what} wins, at any moment`, async () => {
      for (let turns = 0; turns < 12; turns++) {
        const server = turns % 2 === 0 ? net.createServer() : http.createServer();
        let closeEvents = 0;
        let errors = 0;
        server.on('close', () => closeEvents++);
        server.on('error', () => errors++);
        const outcome = listen(server, options).then(
          () => 'listened',
          (error: NodeJS.ErrnoException) => error.code,
        );
        for (let turn = 0; turn < turns >> 1; turn++) await (turn % 2 === 0 ? Promise.resolve() : nextTurn());
        await closeIt(server);
        // When it was too late, it did listen, and is closed now.
        assert.match(String(await outcome), /^(listened|ERR_SERVER_NOT_RUNNING)$/);
        await nextTurn();
        assert.equal(server.listening, false);
        assert.equal(closeEvents, 1);
        assert.equal(errors, 0);
        assert.equal(Object.hasOwn(server, 'close'), false);
        // It can listen again.
        await listen(server, { port: 0 });
        await close(server);
      }
    });
  }

  test(`${name} while listen() waits for a blocked port wins, also when the port becomes free`, async () => {
    const holder = net.createServer();
    const { port } = await listen(holder, { port: 0, host: '127.0.0.1' });
    const server = net.createServer();
    const outcome = listen(server, { port, host: '127.0.0.1', busy: 'wait' });
    setTimeout(() => void closeIt(server), 60);
    await assert.rejects(outcome, { code: 'ERR_SERVER_NOT_RUNNING' });
    await close(holder);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(server.listening, false);
  });
}

test('close() while the old process is asked to end wins, and nobody keeps a server that was closed', async () => {
  const program = fileURLToPath(new URL('programs/deaf.js', import.meta.url));
  const old = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [port] = (await once(old, 'message')) as [number];
  const server = net.createServer();
  const outcome = listen(server, {
    port,
    host: '127.0.0.1',
    busy: 'take-over',
    takeOver: { from: old.pid ?? 0, timeoutMs: 20_000 },
  }).then(
    () => 'listened',
    (error: NodeJS.ErrnoException) => error.code,
  );
  await once(old, 'message');
  await close(server);
  assert.equal(await outcome, 'ERR_SERVER_NOT_RUNNING');
  assert.equal(server.listening, false);
  const gone = once(old, 'exit');
  old.kill('SIGKILL');
  await gone;
});

test('a connection of an earlier time does not hide a close', async () => {
  const server = net.createServer();
  const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
  const client = net.connect(port, '127.0.0.1');
  await once(server, 'connection');
  server.close();
  const outcome = listen(server, { port: 0, host: 'localhost' });
  server.close();
  await assert.rejects(outcome, { code: 'ERR_SERVER_NOT_RUNNING' });
  assert.equal(server.listening, false);
  client.destroy();
});

test('an aborted signal closes the server, and only that is emitted', async () => {
  for (const when of ['before', 'during']) {
    const server = net.createServer();
    const events: string[] = [];
    for (const event of ['listening', 'error', 'close']) server.on(event, () => events.push(event));
    const abort = new AbortController();
    if (when === 'before') abort.abort();
    const outcome = listen(server, { port: 0, host: 'localhost', signal: abort.signal });
    abort.abort();
    await assert.rejects(outcome, { name: 'AbortError' });
    await nextTurn();
    assert.deepEqual(events, ['close'], when);
  }
});

test('a reserved port and a UDP socket can be closed while they begin to listen, too', async () => {
  const reserved = await reserve({ host: '127.0.0.1' });
  const server = net.createServer();
  const outcome = reserved.listen(server);
  server.close();
  await assert.rejects(outcome, { code: 'ERR_SERVER_NOT_RUNNING' });
  assert.equal(server.listening, false);
  const socket = dgram.createSocket('udp4');
  const bound = listen(socket, { port: 0, host: 'localhost' });
  const closed = close(socket);
  await assert.rejects(bound, { code: 'ERR_SERVER_NOT_RUNNING' });
  await closed;
  assert.throws(() => socket.address());
});

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
