import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import cluster from 'node:cluster';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { serve } from '@hono/node-server';
import express from 'express';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { Server as SocketServer } from 'socket.io';
import WebSocket, { WebSocketServer } from 'ws';
import {
  BlockedPortError,
  close,
  descriptor,
  getOption,
  isBlockedPortError,
  listen,
  setOption,
} from '../../src/index.ts';

const localhost = { port: 0, host: '127.0.0.1' } as const;

async function get(port: number, path = '/'): Promise<string> {
  const request = http.get({ port, host: '127.0.0.1', path, agent: false });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.setEncoding('utf8');
  let body = '';
  for await (const chunk of response) body += chunk;
  return body;
}

const quick = { graceMs: 500, idleMs: 20, firstByteMs: 20 } as const;

test('listen() resolves with the real address, emits listening once, and dual-stack is the default', async () => {
  const server = net.createServer();
  let events = 0;
  server.on('listening', () => events++);
  const at = await listen(server, { port: 0 });
  const address = server.address() as net.AddressInfo;
  assert.equal(at.port, address.port);
  assert.equal(at.address, address.address);
  assert.equal(at.protocol, 'tcp');
  assert.deepEqual(at.unset, []);
  assert.equal(events, 1);
  const client = net.connect(at.port, '127.0.0.1');
  await once(client, 'connect');
  client.destroy();
  await close(server, quick);
});

test('every option stands on the socket before the bind, and connections inherit it', async () => {
  const server = net.createServer();
  let seen: unknown;
  await listen(server, {
    ...localhost,
    deferAccept: { seconds: 3 },
    fastOpen: 16,
    userTimeout: { ms: 5000 },
    keepAlive: true,
    keepAliveIdle: { seconds: 30 },
    keepAliveInterval: { seconds: 5 },
    keepAliveCount: 4,
    freeBind: true,
    reusePort: true,
    device: 'lo',
    backlog: 77,
    beforeBind: ({ descriptor: fd, family }) => {
      seen = [family, getOption(fd, 'SO_REUSEPORT'), getOption(fd, 'TCP_USER_TIMEOUT'), getOption(fd, 'SO_ACCEPTCONN')];
      setOption(fd, 'SO_RCVBUF', { bytes: 8192 });
    },
  });
  assert.deepEqual(seen, [4, true, { ms: 5000 }, false]);
  assert.equal(getOption(server, 'SO_REUSEADDR'), true);
  assert.equal(getOption(server, 'TCP_FASTOPEN'), 16);
  assert.equal(getOption(server, 'IP_FREEBIND'), true);
  assert.equal(getOption(server, 'SO_BINDTODEVICE'), 'lo');
  assert.equal(getOption(server, 'SO_ACCEPTCONN'), true);
  assert.equal(getOption(server, 'TCP_INFO').selectivelyAcknowledged, 77);
  assert.deepEqual(getOption(server, 'SO_RCVBUF'), { bytes: 16_384 });
  const accepted = once(server, 'connection');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  client.write('x');
  const [socket] = (await accepted) as [net.Socket];
  assert.deepEqual(getOption(socket, 'TCP_USER_TIMEOUT'), { ms: 5000 });
  assert.equal(getOption(socket, 'SO_KEEPALIVE'), true);
  assert.deepEqual(getOption(socket, 'TCP_KEEPIDLE'), { seconds: 30 });
  assert.deepEqual(getOption(socket, 'TCP_KEEPINTVL'), { seconds: 5 });
  assert.equal(getOption(socket, 'TCP_KEEPCNT'), 4);
  assert.equal(getOption(socket, 'TCP_INFO').state, 'ESTABLISHED');
  client.destroy();
  await close(server, quick);
});

test('v6Only leaves IPv4 to another server', async () => {
  const six = net.createServer();
  const { port } = await listen(six, { port: 0, host: '::', v6Only: true, keepAlive: true });
  assert.equal(getOption(six, 'IPV6_V6ONLY'), true);
  const four = net.createServer();
  await listen(four, { port, host: '0.0.0.0' });
  await Promise.all([close(four), close(six)]);
});

test('reuseAddress: false is asked for at the bind and leaves nothing that blocks a successor', async () => {
  const server = net.createServer((socket) => socket.end('bye'));
  const { port } = await listen(server, { ...localhost, reuseAddress: false });
  const client = net.connect(port, '127.0.0.1');
  client.resume();
  // The server's side closes first: TIME_WAIT on its port.
  await once(client, 'close');
  await close(server, quick);
  const next = net.createServer();
  await listen(next, { port, host: '127.0.0.1' });
  await close(next);
});

test('a blocked port rejects with the holder and the shape of Node, and the server can try again', async () => {
  const holder = net.createServer();
  const { port } = await listen(holder, localhost);
  const server = net.createServer();
  const errors: unknown[] = [];
  server.on('error', (error) => errors.push(error));
  await assert.rejects(listen(server, { port, host: '127.0.0.1' }), (error: unknown) => {
    assert.ok(isBlockedPortError(error));
    assert.ok(error instanceof BlockedPortError);
    assert.equal(error.code, 'EADDRINUSE');
    assert.equal(error.port, port);
    assert.equal(error.address, '127.0.0.1');
    assert.equal(error.syscall, 'listen');
    assert.equal(error.verdict?.cause, 'other-listener');
    assert.equal(error.blockers[0]?.holders[0]?.pid, process.pid);
    return true;
  });
  assert.equal(errors.length, 1);
  await assert.rejects(listen(server, { port, host: '127.0.0.1', keepAlive: true }), isBlockedPortError);
  await close(holder);
  await listen(server, { port, host: '127.0.0.1' });
  await close(server);
});

test("busy 'next' takes the next free port and says which", async () => {
  const holder = net.createServer();
  const { port } = await listen(holder, localhost);
  for (const keepAlive of [undefined, true]) {
    const server = net.createServer();
    const at = await listen(server, { port, host: '127.0.0.1', busy: 'next', ...(keepAlive && { keepAlive }) });
    assert.ok(at.port > port);
    await close(server);
  }
  await close(holder);
});

test("busy 'wait' listens as soon as the port is free, and gives up in time", async () => {
  const holder = net.createServer();
  const { port } = await listen(holder, localhost);
  const late = net.createServer();
  await assert.rejects(listen(late, { port, host: '127.0.0.1', busy: 'wait', timeoutMs: 100 }), isBlockedPortError);
  const waiting = listen(late, { port, host: '127.0.0.1', busy: 'wait' });
  setTimeout(() => holder.close(), 100);
  await waiting;
  await close(late);
});

test('aborting before, during and after: rejects with the reason, or closes the server', async () => {
  const server = net.createServer();
  await assert.rejects(listen(server, { ...localhost, signal: AbortSignal.abort() }), { name: 'AbortError' });
  const holder = net.createServer();
  const { port } = await listen(holder, localhost);
  const during = new AbortController();
  const waiting = listen(server, { port, host: '127.0.0.1', busy: 'wait', signal: during.signal });
  setTimeout(() => during.abort(), 50);
  await assert.rejects(waiting, { name: 'AbortError' });
  await close(holder);
  const after = new AbortController();
  await listen(server, { ...localhost, signal: after.signal });
  const closed = once(server, 'close');
  after.abort();
  await closed;
});

test('Unix sockets, abstract and with a file', async () => {
  const path = `/tmp/rebind-listen-${process.pid}.sock`;
  for (const where of [path, `\0rebind-listen-${process.pid}`]) {
    const server = net.createServer();
    const at = await listen(server, { path: where });
    assert.deepEqual([at.protocol, at.address, at.port], ['unix', where, 0]);
    const client = net.connect(where);
    await once(client, 'connect');
    client.destroy();
    await close(server, quick);
  }
  rmSync(path, { force: true });
});

test('UDP: options before the bind, and without any through Node', async () => {
  for (const options of [{}, { device: 'lo' }, { reuseAddress: true }, { freeBind: true }]) {
    const socket = dgram.createSocket('udp4');
    const at = await listen(socket, { ...localhost, ...options });
    assert.equal(at.protocol, 'udp');
    assert.equal(socket.address().port, at.port);
    assert.equal(getOption(socket, 'SO_REUSEADDR'), 'reuseAddress' in options);
    const got = once(socket, 'message');
    const sender = dgram.createSocket('udp4');
    sender.send('hello', at.port, '127.0.0.1');
    assert.equal(String((await got)[0]), 'hello');
    sender.close();
    const second = dgram.createSocket('udp4');
    await assert.rejects(listen(second, { port: at.port, host: '127.0.0.1' }), isBlockedPortError);
    second.close();
    await close(socket);
  }
});

test('http, https, http2, tls, express, fastify, koa and hono servers listen and answer', async () => {
  const fixtures = new URL('../../../test/fixtures/', import.meta.url);
  const key = readFileSync(new URL('localhost.key.pem', fixtures));
  const cert = readFileSync(new URL('localhost.cert.pem', fixtures));
  const app = express();
  app.get('/', (_request, response) => void response.send('express'));
  const koa = new Koa();
  koa.use((context) => {
    context.body = 'koa';
  });
  const fast = fastify();
  fast.get('/', async () => 'fastify');
  await fast.ready();
  const hono = new Hono();
  hono.get('/', (context) => context.text('hono'));
  let honoServer: http.Server | undefined;
  serve({
    fetch: hono.fetch,
    createServer: ((options: http.ServerOptions, handler: http.RequestListener) => {
      honoServer = http.createServer(options, handler);
      // The adapter listens at once; here the server is only wanted.
      honoServer.listen = (() => honoServer) as never;
      return honoServer;
    }) as never,
  });
  assert.ok(honoServer);
  Reflect.deleteProperty(honoServer, 'listen');
  const servers: [string, http.Server][] = [
    ['http', http.createServer((_request, response) => response.end('http'))],
    ['express', http.createServer(app)],
    ['koa', http.createServer(koa.callback())],
    ['fastify', fast.server],
    ['hono', honoServer],
  ];
  for (const [name, server] of servers) {
    for (const extra of [{}, { keepAlive: true }]) {
      const { port } = await listen(server, { ...localhost, ...extra });
      assert.equal(await get(port), name);
      await close(server, quick);
    }
  }
  for (const server of [
    https.createServer({ key, cert }),
    http2.createSecureServer({ key, cert }),
    tls.createServer({ key, cert }),
  ]) {
    const { port } = await listen(server, { ...localhost, keepAlive: true });
    const client = tls.connect({
      port,
      host: '127.0.0.1',
      ca: cert,
      servername: 'localhost',
      ALPNProtocols: ['h2', 'http/1.1'],
    });
    await once(client, 'secureConnect');
    client.destroy();
    await close(server, quick);
  }
});

test("vite's dev server listens, answers and is closed", { timeout: 60_000 }, async (context) => {
  // It needs 20.19 or 22.12; the others of the four have it.
  const { createServer } = await import('vite');
  const vite = await createServer({
    configFile: false,
    logLevel: 'silent',
    appType: 'custom',
    server: { ws: false, watch: null },
    optimizeDeps: { noDiscovery: true },
  });
  vite.middlewares.use((_request, response) => void response.end('vite'));
  const server = vite.httpServer;
  assert.ok(server);
  context.after(() => vite.close());
  const { port } = await listen(server as http.Server, { ...localhost, keepAlive: true });
  assert.equal(await get(port), 'vite');
  await close(server as http.Server, quick);
});

test('in a cluster worker the primary makes the socket, and what it cannot set is said', {
  timeout: 20_000,
}, async () => {
  cluster.setupPrimary({ exec: new URL('programs/cluster-worker.js', import.meta.url).pathname, silent: true });
  const workers = [cluster.fork(), cluster.fork()];
  const ports = await Promise.all(
    workers.map(async (worker) => {
      const [message] = (await once(worker, 'message')) as [{ port: number; unset: string[]; refused: string }];
      assert.deepEqual(message.unset, ['keepAlive']);
      assert.match(message.refused, /^Cannot set mark: in a cluster the primary makes the socket/);
      return message.port;
    }),
  );
  assert.equal(ports[0], ports[1]);
  for (const worker of workers) worker.kill();
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
});

test('2,000 listens and closes leave no descriptor open', { timeout: 120_000 }, async () => {
  const open = (): number => readdirSync('/proc/self/fd').length;
  const one = async (index: number): Promise<void> => {
    const server = net.createServer();
    await listen(server, { ...localhost, ...(index % 2 === 0 && { keepAlive: true }) });
    await close(server);
  };
  for (let i = 0; i < 20; i++) await one(i);
  const before = open();
  for (let i = 0; i < 2000; i++) await one(i);
  assert.ok(open() <= before + 1, `${before} before, ${open()} after`);
});

test('failures leave no descriptor open either', async () => {
  const holder = net.createServer();
  const { port } = await listen(holder, localhost);
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 50; i++) {
    const server = net.createServer();
    await assert.rejects(listen(server, { port, host: '127.0.0.1', keepAlive: true }));
    await assert.rejects(
      listen(server, {
        ...localhost,
        beforeBind: () => {
          throw new Error('no');
        },
      }),
      { message: 'no' },
    );
    await assert.rejects(listen(server, { ...localhost, device: 'nosuchdevice0' }), { code: 'ENODEV' });
  }
  assert.equal(readdirSync('/proc/self/fd').length, before);
  await close(holder);
});

test('an address that is not here is explained', async () => {
  await assert.rejects(listen(net.createServer(), { port: 0, host: '192.0.2.1' }), (error: unknown) => {
    assert.ok(isBlockedPortError(error));
    assert.equal(error.verdict?.cause, 'address-not-here');
    return true;
  });
});

test('a privileged port is explained', { skip: noPrivilegedPort() }, () => {
  const program = new URL('programs/generation.js', import.meta.url).pathname;
  const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const env = { ...process.env, PORT: '1' };
  const { stdout } = spawnSync(process.execPath, [program], { env, encoding: 'utf8', cwd: '/', ...nobody });
  const { code, blocked, error } = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual([code, blocked], ['EACCES', true]);
  assert.match(String(error), /^Cannot listen on 127\.0\.0\.1:1 \(EACCES\): .* needs a privilege/);
});

function noPrivilegedPort(): string | false {
  const first = Number(readFileSync('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8'));
  return first > 1 ? false : 'this machine has no privileged ports';
}

test('wrong arguments are refused with a sentence that says what to do', async () => {
  const server = net.createServer();
  const bad = (target: unknown, name: string, message: RegExp, on: unknown = server): Promise<void> =>
    assert.rejects(listen(on as net.Server, target as number), { name, message });
  await bad(3000, 'TypeError', /needs a server that Node made/, {});
  await bad(3000, 'TypeError', /http\.createServer\(handler\)/, () => {});
  await bad(70_000, 'RangeError', /A port is a whole number from 0 to 65535/);
  await bad(-1, 'RangeError', /not -1/);
  await bad('3000x', 'RangeError', /./);
  await bad({}, 'TypeError', /either a port or a path/);
  await bad({ port: 0, prot: 1 }, 'TypeError', /'prot' is not an option of listen\(\)/);
  await bad({ port: 0, busy: 'retry' }, 'TypeError', /busy is one of fail, wait, take-over, next/);
  await bad({ port: 0, backlog: 'long' }, 'RangeError', /backlog/);
  await bad({ port: 0, fastOpen: -1 }, 'RangeError', /fastOpen takes a whole number from 0/);
  await bad({ port: 0, userTimeout: 5000 }, 'TypeError', /userTimeout takes \{ ms: /);
  await bad({ port: 0, userTimeout: { seconds: 5 } }, 'TypeError', /userTimeout takes \{ ms: /);
  await bad({ port: 0, keepAliveIdle: { seconds: 0 } }, 'RangeError', /keepAliveIdle/);
  await bad({ port: 0, keepAlive: 'yes' }, 'TypeError', /keepAlive takes true or false, not 'yes'/);
  await bad({ port: 0, device: 'x'.repeat(16) }, 'TypeError', /at most 15 bytes/);
  await bad({ path: './x.sock', keepAlive: true }, 'TypeError', /A Unix socket has no keepAlive/);
  await bad({ port: 0, timeoutMs: -1 }, 'RangeError', /timeoutMs/);
  await bad('udp/53', 'TypeError', /is a UDP endpoint, and the server takes TCP/);
  await bad({ path: `/tmp/${'x'.repeat(200)}` }, 'RangeError', /at most 107 bytes, and .* has 205/);
  await bad({ port: 0, signal: 5 }, 'TypeError', /signal is an AbortSignal/);
  await bad({ path: '3000' }, 'TypeError', /neither empty nor a number, not '3000'/);
  await bad({ fd: -1 }, 'TypeError', /A descriptor is a whole number/);
  await bad({ fd: 1, keepAlive: true }, 'TypeError', /with fd, busy and the options/);
  await bad({ port: 0, ipv6Only: true, v6Only: false }, 'TypeError', /another name of v6Only/);
  await bad({ port: 0, takeOver: { form: 1 } }, 'TypeError', /'form' is not an option of takeOver/);
  await bad({ port: 0, takeOver: { from: '1' } }, 'TypeError', /takeOver\.from is a process id/);
  await bad({ port: 0, takeOver: { force: 1 } }, 'TypeError', /takeOver\.force is true or false/);
  await bad({ port: 0, required: 'device' }, 'TypeError', /required is a list of options/);
  const late = async (): Promise<void> => Promise.reject(new Error('too late'));
  await bad({ port: 0, beforeBind: late }, 'TypeError', /may not be an async function/);
  await bad({ port: 0, required: ['nothing'] }, 'TypeError', /is not an option of listen/);
  const udp = dgram.createSocket('udp4');
  await bad({ port: 0, fastOpen: 1 }, 'TypeError', /A UDP socket has no fastOpen/, udp);
  udp.close();
  await bad(0, 'TypeError', /was closed, and Node cannot bind it again/, udp);
  await listen(server, localhost);
  await assert.rejects(listen(server, localhost), { name: 'TypeError', code: 'ERR_SERVER_ALREADY_LISTEN' });
  await close(server);
  const twice = net.createServer();
  const both = await Promise.allSettled([listen(twice, localhost), listen(twice, localhost)]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
  await close(twice);
});

test('getOption() and setOption() refuse what cannot be, and a closed handle', async () => {
  const server = net.createServer();
  assert.throws(() => descriptor(server), { name: 'TypeError', message: /does not listen yet/ });
  await listen(server, localhost);
  assert.throws(() => getOption(server, 'SO_NOTHING' as 'SO_TYPE'), {
    name: 'TypeError',
    message: /It knows SO_REUSEADDR/,
  });
  assert.throws(() => setOption(server, 'SO_TYPE', 1), { name: 'TypeError', message: /can only be read/ });
  assert.throws(() => getOption(server, 'SO_RCVBUFFORCE'), { name: 'TypeError', message: /can only be set/ });
  assert.throws(() => setOption(server, 'SO_LINGER', { seconds: -1 }), RangeError);
  assert.throws(() => setOption(server, 'SO_LINGER', 3 as never), TypeError);
  assert.throws(() => getOption(server, 'UDP_GRO'), { name: 'NativeError', code: 'ENOTSUP' });
  assert.throws(() => getOption(999_999, 'SO_TYPE'), { code: 'EBADF' });
  assert.throws(() => descriptor(-1), TypeError);
  setOption(server, 'SO_LINGER', { seconds: 0 });
  assert.deepEqual(getOption(server, 'SO_LINGER'), { seconds: 0 });
  setOption(server, 'SO_LINGER', null);
  assert.equal(getOption(server, 'SO_LINGER'), null);
  setOption(server, 'SO_RCVTIMEO', { ms: 1500 });
  assert.deepEqual(getOption(server, 'SO_RCVTIMEO'), { ms: 1500 });
  assert.equal(getOption(server, 'SO_PROTOCOL'), 6);
  assert.match(getOption(server, 'SO_COOKIE'), /^[0-9a-f]{16}$/);
  setOption(server, 'TCP_CONGESTION', 'reno');
  assert.equal(getOption(server, 'TCP_CONGESTION'), 'reno');
  setOption(server, 'IP_LOCAL_PORT_RANGE', [40_000, 40_100]);
  assert.deepEqual(getOption(server, 'IP_LOCAL_PORT_RANGE'), [40_000, 40_100]);
  await close(server);
  assert.throws(() => getOption(server, 'SO_TYPE'), TypeError);
});

test('ws and socket.io: clients are connected through listen(), told 1012 by close(), and connect again after a restart', async () => {
  const plain = http.createServer();
  new WebSocketServer({ server: plain }).on('connection', (socket) => socket.send('hello'));
  const engine = http.createServer();
  new SocketServer(engine);
  for (const [server, path, greeting] of [
    [plain, '/', /^hello$/],
    [engine, '/socket.io/?EIO=4&transport=websocket', /^0\{"sid"/],
  ] as const) {
    for (let start = 0; start < 2; start++) {
      const { port } = await listen(server, { ...localhost, keepAlive: true });
      const client = new WebSocket(`ws://127.0.0.1:${port}${path}`);
      const [message] = (await once(client, 'message')) as [Buffer];
      assert.match(String(message), greeting);
      const gone = once(client, 'close');
      assert.deepEqual(
        { ...(await close(server, quick)), elapsedMs: 0 },
        { finished: 1, idle: 0, killed: 0, workLeft: 0, lameDuckMs: 0, elapsedMs: 0 },
      );
      assert.equal((await gone)[0], 1012);
    }
  }
});

test('await using closes the server at the end of the block', async () => {
  const server = http.createServer((_request, response) => response.end('here'));
  {
    await using at = await listen(server, localhost);
    assert.equal(await get(at.port), 'here');
  }
  assert.equal(server.listening, false);
});
