import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import WebSocket, { WebSocketServer } from 'ws';
import { os } from '../../src/os/index.ts';
import { close } from '../../src/server/close.ts';
import { connectionsOf, followUpgrades } from '../../src/server/connections.ts';
import { descriptor } from '../../src/server/descriptor.ts';

const certificates = new URL('../../../test/fixtures/', import.meta.url);
const tls = {
  key: readFileSync(new URL('localhost.key.pem', certificates)),
  cert: readFileSync(new URL('localhost.cert.pem', certificates)),
};

async function start<S extends net.Server>(server: S): Promise<number> {
  connectionsOf(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A client that writes and reads bytes, and tells how its connection ended. */
class Client {
  readonly socket: net.Socket;
  text = '';
  readonly ended: Promise<'end' | string>;

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.on('data', (chunk) => {
      this.text += chunk;
    });
    this.ended = new Promise((resolve) => {
      this.socket.on('end', () => resolve('end'));
      this.socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  }

  async get(path = '/'): Promise<void> {
    const before = this.text.length;
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    while (!this.text.slice(before).endsWith('done')) await once(this.socket, 'data');
  }
}

function upgradeTo(protocol: string, fields = ''): string {
  return `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${fields}\r\n`;
}

function app(delayMs = 0): http.RequestListener {
  return (_request, response) => {
    setTimeout(() => {
      response.setHeader('Content-Length', '4');
      response.end('done');
    }, delayMs);
  };
}

test('an answer that is under way is finished with Connection: close, and the port is free meanwhile', async () => {
  const server = http.createServer(app(300));
  const port = await start(server);
  const client = new Client(port);
  const answer = client.get();
  await once(server, 'request');
  const closed = close(server);
  await waitUntil(() => !server.listening);
  const successor = net.createServer();
  successor.listen(port, '127.0.0.1');
  await once(successor, 'listening');
  await answer;
  assert.match(client.text, /\r\nConnection: close\r\n/);
  const { finished, idle, killed } = await closed;
  assert.deepEqual({ finished, idle, killed }, { finished: 1, idle: 0, killed: 0 });
  await close(successor);
});

test('a request on a kept connection that arrives after close() began is answered', async () => {
  const server = http.createServer(app());
  const client = new Client(await start(server));
  await client.get();
  assert.match(client.text, /keep-alive/);
  const closed = close(server, { idleMs: 500 });
  await sleep(200);
  await client.get();
  assert.match(client.text, /Connection: close/);
  assert.deepEqual(counts(await closed), [1, 0, 0]);
});

test('a connection whose first byte comes late is answered, not destroyed', async () => {
  const server = http.createServer(app());
  const client = new Client(await start(server));
  await once(server, 'connection');
  const closed = close(server);
  await sleep(100);
  await client.get();
  assert.deepEqual(counts(await closed), [1, 0, 0]);
});

test('a silent connection is closed after the linger with FIN, one that never spoke after its own deadline', async () => {
  const server = http.createServer(app());
  const port = await start(server);
  const idle = new Client(port);
  await idle.get();
  const mute = new Client(port);
  await once(server, 'connection');
  const start0 = performance.now();
  const closed = close(server, { idleMs: 200, firstByteMs: 500 });
  assert.equal(await idle.ended, 'end');
  const idleMs = performance.now() - start0;
  assert.equal(await mute.ended, 'end');
  const muteMs = performance.now() - start0;
  assert.ok(idleMs >= 190 && idleMs < 450, `idle after ${idleMs}`);
  assert.ok(muteMs >= 490, `mute after ${muteMs}`);
  assert.deepEqual(counts(await closed), [0, 2, 0]);
});

test('what is still under way after the grace is reset', async () => {
  const server = http.createServer(() => {});
  const client = new Client(await start(server));
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(server, 'request');
  const closed = await close(server, { graceMs: 200 });
  assert.equal(await client.ended, 'ECONNRESET');
  assert.deepEqual(counts(closed), [0, 0, 1]);
  assert.ok(closed.elapsedMs >= 190 && closed.elapsedMs < 1500, String(closed.elapsedMs));
});

test('a request whose head comes slowly is not taken for silence', async () => {
  const server = http.createServer(app());
  const client = new Client(await start(server));
  await client.get();
  client.socket.write('GET / HTTP/1.1\r\n');
  await sleep(50);
  const closed = close(server, { idleMs: 100 });
  await sleep(300);
  client.socket.write('Host: x\r\n\r\n');
  await waitUntil(() => client.text.endsWith('done') && client.text.split('HTTP/1.1 200').length === 3);
  assert.deepEqual(counts(await closed), [1, 0, 0]);
});

test('pipelined requests are all answered, those that came before the close and those that come after', async () => {
  const handle: http.RequestListener = (request, response) => {
    const delayMs = Number(new URL(request.url ?? '/', 'http://x').searchParams.get('delay') ?? 20);
    setTimeout(() => response.end('done'), delayMs);
  };
  const request = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  for (const [before, during] of [
    [['/?delay=200', '/', '/'], []],
    [['/?delay=300'], ['/', '/']],
    [['/?delay=200', '/?delay=1'], ['/']],
  ] as const) {
    const server = http.createServer(handle);
    const client = new Client(await start(server));
    client.socket.write(before.map(request).join(''));
    await once(server, 'request');
    const closed = close(server, { idleMs: 200 });
    if (during.length > 0) client.socket.write(during.map(request).join(''));
    const { killed } = await closed;
    assert.equal(killed, 0);
    assert.equal(client.text.split('HTTP/1.1 200').length - 1, before.length + during.length, client.text);
    assert.ok(client.text.split('Connection: close').length <= 2, client.text);
  }
});

test('the lame duck still accepts, says that it is closing, and answers with Connection: close', async () => {
  const server = http.createServer(app());
  const port = await start(server);
  const closed = close(server, { lameDuckMs: 300 });
  assert.equal(close.isClosing(server), true);
  const client = new Client(port);
  await client.get();
  assert.match(client.text, /Connection: close/);
  assert.equal(server.listening, true);
  await closed;
  assert.equal(close.isClosing(server), false);
});

test('aborting ends the wait at once', async () => {
  const server = http.createServer(() => {});
  const client = new Client(await start(server));
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(server, 'request');
  const now = new AbortController();
  const closed = close(server, { graceMs: 60_000, lameDuckMs: 60_000, signal: now.signal });
  setTimeout(() => now.abort(), 50);
  assert.deepEqual(counts(await closed), [0, 0, 1]);
  await client.ended;
});

test("the program's own server.close() during the drain cuts nothing", async () => {
  const server = http.createServer(app(200));
  const client = new Client(await start(server));
  const answer = client.get();
  await once(server, 'request');
  const mute = new Client((server.address() as AddressInfo).port);
  await once(server, 'connection');
  const closed = close(server, { firstByteMs: 600 });
  const own = new Promise((resolve) => server.close(resolve));
  await answer;
  await mute.get();
  await closed;
  await own;
  assert.equal(Object.hasOwn(server, 'close'), false);
});

test('undici: 200 requests over 10 kept connections while the server closes and its successor starts, and none is lost', async () => {
  const first = http.createServer(app(5));
  const port = await start(first);
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 10, pipelining: 1 });
  let closed: Promise<unknown> | undefined;
  const second = http.createServer(app(5));
  const ask = async (): Promise<number> => {
    const { statusCode, body } = await pool.request({ path: '/', method: 'GET' });
    await body.text();
    return statusCode;
  };
  const statuses: Promise<number>[] = [];
  for (let i = 0; i < 200; i++) {
    statuses.push(ask());
    if (i === 100) {
      // The successor shares the socket, as after a take-over: closing ours refuses nobody.
      const copy = os().sockets.duplicate(descriptor(first));
      await new Promise<void>((resolve) => second.listen({ fd: copy }, 511, resolve));
      closed = close(first);
    }
    await sleep(3);
  }
  assert.deepEqual(new Set(await Promise.all(statuses)), new Set([200]));
  await closed;
  await pool.close();
  await close(second, { idleMs: 20 });
});

test('https: the same, and a handshake that is under way is finished', async () => {
  const server = https.createServer(tls, app(150));
  const port = await start(server);
  const closedAfter = once(server, 'connection').then(() => close(server));
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    https
      .get({ port, host: '127.0.0.1', ca: tls.cert, servername: 'localhost', agent: false }, resolve)
      .on('error', reject);
  });
  assert.equal(response.headers.connection, 'close');
  response.resume();
  assert.deepEqual(counts(await closedAfter), [1, 0, 0]);
});

test('HTTP/2: streams are finished, and the session is told by GOAWAY', async () => {
  const server = http2.createServer();
  server.on('stream', (stream) => {
    setTimeout(() => {
      stream.respond({ ':status': 200 });
      stream.end('done');
    }, 200);
  });
  const client = http2.connect(`http://127.0.0.1:${await start(server)}`);
  const goaways: number[] = [];
  client.on('goaway', (code, last) => goaways.push(code, last));
  const request = client.request({ ':path': '/' });
  await once(server, 'stream');
  const closed = close(server);
  request.setEncoding('utf8');
  let body = '';
  for await (const chunk of request) body += chunk;
  assert.equal(body, 'done');
  assert.deepEqual(counts(await closed), [1, 0, 0]);
  assert.equal(goaways[0], 0);
  assert.equal(goaways[1], 2 ** 31 - 1);
});

test('HTTP/2: an idle session is let go after the linger', async () => {
  const server = http2.createServer();
  const client = http2.connect(`http://127.0.0.1:${await start(server)}`);
  await once(client, 'connect');
  const closed = await close(server);
  assert.deepEqual(counts(closed), [0, 1, 0]);
  assert.ok(closed.elapsedMs < 2000, String(closed.elapsedMs));
});

test('WebSocket: close 1012, without a listener for drain', async () => {
  const server = http.createServer(app());
  const sockets = new WebSocketServer({ server });
  const client = new WebSocket(`ws://127.0.0.1:${await start(server)}`);
  await once(client, 'open');
  const gone = once(client, 'close');
  const closed = await close(server);
  assert.equal((await gone)[0], 1012);
  assert.deepEqual(counts(closed), [1, 0, 0]);
  sockets.close();
});

test("WebSocket: a program that listens for 'drain' says goodbye itself", async () => {
  const server = http.createServer(app());
  const sockets = new WebSocketServer({ server });
  server.on('drain', () => {
    for (const socket of sockets.clients) socket.close(4000, 'back soon');
  });
  const client = new WebSocket(`ws://127.0.0.1:${await start(server)}`);
  await once(client, 'open');
  const gone = once(client, 'close');
  await close(server);
  assert.equal((await gone)[0], 4000);
});

test('WebSocket: a client that never answers the close frame costs the linger and not the grace', async () => {
  const server = http.createServer(app());
  const sockets = new WebSocketServer({ server });
  const client = new Client(await start(server));
  client.socket.write(
    upgradeTo('websocket', 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'),
  );
  await once(client.socket, 'data');
  const closed = await close(server, { idleMs: 150 });
  assert.deepEqual(counts(closed), [0, 1, 0]);
  assert.ok(closed.elapsedMs < 3000, String(closed.elapsedMs));
  sockets.close();
});

test('WebSocket: one that the program has not accepted yet gets no frame before the answer', async () => {
  const server = http.createServer(app());
  connectionsOf(server);
  followUpgrades(server);
  const answer = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
  server.on('upgrade', (_request, socket) => {
    setTimeout(() => socket.write(answer), 400);
    socket.on('data', () => socket.end());
  });
  const client = new Client(await start(server));
  client.socket.write(upgradeTo('websocket'));
  await once(server, 'upgrade');
  const closed = close(server, { idleMs: 100 });
  const frame = String.fromCharCode(0x88, 0x02);
  client.socket.setEncoding('latin1');
  await waitUntil(() => client.text.includes(frame));
  assert.ok(client.text.startsWith(answer + frame), client.text);
  client.socket.write('goodbye');
  await closed;
});

for (const [what, head] of [
  ['an upgrade to another protocol', upgradeTo('echo')],
  ['an upgrade whose request has a body', `${upgradeTo('echo', 'Content-Length: 2\r\n')}b`],
  ['a tunnel of CONNECT', 'CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n'],
] as const) {
  test(`${what} is never taken for idle, and ends by itself`, async () => {
    const server = http.createServer(app());
    const give = (_request: http.IncomingMessage, socket: Duplex): void => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
      socket
        .on('error', () => {})
        .on('end', () => socket.end('bye'))
        .resume();
    };
    server.on('upgrade', give).on('connect', give);
    const client = new Client(await start(server));
    client.socket.write(head);
    await once(client.socket, 'data');
    const closed = close(server, { idleMs: 100, graceMs: 8000 });
    await sleep(700);
    assert.equal(client.socket.readyState, 'open');
    if (head.endsWith('b')) client.socket.write('c');
    client.socket.end('x');
    await client.ended;
    assert.match(client.text, /bye$/);
    assert.deepEqual(counts(await closed), [1, 0, 0]);
  });
}

test('an upgraded connection that the program has ended, and whose client stays, costs the linger and not the grace', async () => {
  const server = http.createServer(app());
  server.on('upgrade', (_request, socket) => socket.resume().end('HTTP/1.1 101 Switching Protocols\r\n\r\n'));
  const socket = net.connect({ port: await start(server), host: '127.0.0.1', allowHalfOpen: true });
  socket
    .on('error', () => {})
    .resume()
    .write(upgradeTo('echo'));
  await once(socket, 'end');
  const closed = await close(server, { idleMs: 150 });
  assert.deepEqual(counts(closed), [0, 1, 0]);
  assert.ok(closed.elapsedMs < 3000, String(closed.elapsedMs));
  socket.destroy();
});

test('a body that the client was told to continue with is awaited, however long it takes within the grace', async () => {
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => response.end('done'));
  });
  const client = new Client(await start(server));
  client.socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n');
  await once(client.socket, 'data');
  const closed = close(server, { idleMs: 100 });
  await sleep(600);
  client.socket.write('body');
  assert.equal(await client.ended, 'end');
  assert.match(client.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 .*Connection: close.*done/s);
  assert.deepEqual(counts(await closed), [1, 0, 0]);
});

test('a TLS handshake that was begun and is not finished costs the linger and not the grace', async () => {
  const server = https.createServer(tls, app());
  const client = new Client(await start(server));
  // The head of a record that never comes whole.
  client.socket.write(Uint8Array.of(0x16, 0x03, 0x01, 0x02, 0x00, 0x01));
  await once(server, 'connection');
  await sleep(50);
  const closed = await close(server, { idleMs: 150, firstByteMs: 300 });
  assert.deepEqual(counts(closed), [0, 1, 0]);
  assert.ok(closed.elapsedMs < 3000, String(closed.elapsedMs));
});

test('a half-open connection is waited for only while the program can still answer', async () => {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {}).resume();
    socket.on('end', () => setTimeout(() => socket.end('answer'), 500));
  });
  const port = await start(server);
  const asking = new Client(port);
  asking.socket.end('question');
  // It has the answer, and does not go.
  const staying = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  staying.on('error', () => {});
  const accepted = await new Promise<net.Socket>((resolve) =>
    server.on('connection', (socket) => {
      if (socket.remotePort === staying.localPort) resolve(socket);
    }),
  );
  accepted.end();
  const closed = await close(server, { idleMs: 100 });
  assert.equal(asking.text, 'answer');
  assert.deepEqual(counts(closed), [1, 1, 0]);
  assert.ok(closed.elapsedMs < 4000, String(closed.elapsedMs));
});

test('an event stream is closed after the linger', async () => {
  const server = http.createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const timer = setInterval(() => response.write('data: x\n\n'), 20);
    response.on('close', () => clearInterval(timer));
  });
  const client = new Client(await start(server));
  client.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(client.socket, 'data');
  const closed = await close(server, { idleMs: 150 });
  assert.deepEqual(counts(closed), [1, 0, 0]);
  assert.ok(closed.elapsedMs < 1500, String(closed.elapsedMs));
});

test('a plain net.Server: bytes that flow keep a connection, silence ends it', async () => {
  const server = net.createServer((socket) => socket.pipe(socket));
  const client = new Client(await start(server));
  client.socket.write('x');
  await once(client.socket, 'data');
  const closed = close(server, { idleMs: 200 });
  for (let i = 0; i < 5; i++) {
    await sleep(100);
    client.socket.write('x');
  }
  assert.equal(await client.ended, 'end');
  assert.equal(client.text, 'xxxxxx');
  assert.deepEqual(counts(await closed), [0, 1, 0]);
});

test('a Unix socket is closed alike', async () => {
  const server = http.createServer(app(100));
  const path = `\0rebind-test-${process.pid}`;
  server.listen(path);
  await once(server, 'listening');
  const request = http.get({ socketPath: path, path: '/' });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const closed = close(server);
  response.resume();
  assert.equal((await closed).killed, 0);
});

test('UDP: what is queued is sent', async () => {
  const receiver = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(receiver, 'listening');
  const sender = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(sender, 'listening');
  let received = 0;
  receiver.on('message', () => received++);
  for (let i = 0; i < 10; i++) sender.send('x', receiver.address().port, '127.0.0.1');
  await close(sender);
  await waitUntil(() => received === 10);
  await close(receiver);
});

test('a server that does not listen, or was closed already, resolves at once', async () => {
  assert.deepEqual(counts(await close(http.createServer())), [0, 0, 0]);
  const server = net.createServer();
  await start(server);
  const first = close(server);
  assert.equal(close(server), first);
  await first;
  assert.deepEqual(counts(await close(server)), [0, 0, 0]);
});

test('a closed server can listen again, and nothing of the drain is left on it', async () => {
  const server = http.createServer(app());
  await start(server);
  await close(server);
  const client = new Client(await start(server));
  await client.get();
  assert.match(client.text, /keep-alive/);
  await close(server, { idleMs: 50 });
});

test('wrong arguments are refused with a sentence that says what to do', () => {
  const bad = (value: unknown, message: RegExp): void => {
    assert.throws(() => close(value as net.Server), { name: 'TypeError', message });
  };
  bad(undefined, /needs a server that Node made/);
  bad(() => {}, /goes into http\.createServer\(handler\) first/);
  bad({ server: net.createServer() }, /Give its 'server' property/);
  assert.throws(() => close(net.createServer(), { grace: 1 } as never), {
    name: 'TypeError',
    message: /'grace' is not an option of close\(\)\. The options are graceMs/,
  });
  assert.throws(() => close(net.createServer(), null as never), { name: 'TypeError', message: /not null/ });
  assert.throws(() => close(net.createServer(), { signal: 5 as never }), { name: 'TypeError', message: /AbortSignal/ });
  assert.throws(() => close.onSignals(net.createServer(), { signals: [] }), TypeError);
  assert.throws(() => close.onSignals(net.createServer(), { signals: ['SIGKILL' as 'SIGINT'] }), {
    name: 'TypeError',
    message: /signals is a list of SIGTERM, SIGINT, SIGHUP, not/,
  });
  assert.throws(() => close.onSignals([{} as net.Server]), TypeError);
  assert.throws(() => close(net.createServer(), { graceMs: -1 }), { name: 'RangeError', message: /graceMs.*not -1/ });
  assert.throws(() => close(net.createServer(), { idleMs: Number.NaN }), RangeError);
  assert.throws(() => close(net.createServer(), { graceMs: Number.POSITIVE_INFINITY }), RangeError);
});

function counts(closed: { finished: number; idle: number; killed: number }): number[] {
  return [closed.finished, closed.idle, closed.killed];
}

/** Bounded: fails after five seconds. */
async function waitUntil(condition: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!condition()) {
    assert.ok(performance.now() < end, `still not: ${condition}`);
    await sleep(5);
  }
}
