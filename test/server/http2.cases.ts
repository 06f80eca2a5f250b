/** HTTP/2 sessions end without a refused stream, on servers that `listen` started and on those that it never saw. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2, { type ServerHttp2Stream } from 'node:http2';
import https from 'node:https';
import type net from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { type Closed, close, listen } from '../../src/index.ts';
import { FrameClient, type Outcome } from './http2-client.ts';

const fixtures = new URL('../../../test/fixtures/', import.meta.url);
const cert = readFileSync(new URL('localhost.cert.pem', fixtures));
const secure = { key: readFileSync(new URL('localhost.key.pem', fixtures)), cert };
const trust = { ca: cert, servername: 'localhost' };

type Start = (server: net.Server) => Promise<number>;

const starts: Readonly<Record<string, Start>> = {
  "rebind's listen": async (server) => (await listen(server, { port: 0, host: '127.0.0.1' })).port,
  "Node's listen": async (server) => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  },
};

/** Answers after up to 20 ms. */
function answer(stream: ServerHttp2Stream): void {
  setTimeout(() => {
    if (stream.destroyed) return;
    stream.respond({ ':status': 200 });
    stream.end('done');
  }, Math.random() * 20);
}

function counts({ finished, idle, killed }: Closed): number[] {
  return [finished, idle, killed];
}

for (const [how, start] of Object.entries(starts)) {
  for (const [name, make] of [
    ['clear text', () => http2.createServer()],
    ['TLS', () => http2.createSecureServer({ ...secure, allowHTTP1: true })],
  ] as const) {
    test(`under load every stream is answered: ${name}, ${how}`, { timeout: 60_000 }, async () => {
      const server = make();
      server.on('stream', answer);
      const port = await start(server);
      const clients = Array.from({ length: 8 }, () => new FrameClient(port, name === 'TLS' ? trust : null));
      const outcomes: Promise<Outcome>[] = [];
      for (const client of clients) {
        let lastMs = Number.POSITIVE_INFINITY;
        client.onGoaway = () => {
          // In clear text also those that had been begun, and that are sent a moment after the answer to the PING.
          lastMs = performance.now() + (name === 'TLS' ? 0 : 20);
        };
        const ask = async (): Promise<void> => {
          while (performance.now() < lastMs && !client.socket.destroyed) {
            const outcome = client.request();
            outcomes.push(outcome);
            await outcome;
          }
        };
        // Over TLS what is on its way can be lost (see http2-farewell.ts), so that the client leaves moments in which nothing is.
        for (let i = 0; i < (name === 'TLS' ? 1 : 10); i++) void ask();
      }
      await once(server, 'stream');
      await sleep(200);
      const closed = await close(server);
      const all = await Promise.all(outcomes);
      assert.ok(all.length > 20, String(all.length));
      assert.deepEqual(
        all.filter((outcome) => outcome !== 'answered'),
        [],
        `of ${all.length}`,
      );
      assert.equal(closed.finished + closed.idle, clients.length);
      assert.equal(closed.killed, 0);
      for (const { goaways } of clients) {
        assert.equal(goaways[0], 2 ** 31 - 1);
        assert.ok((goaways.at(-1) ?? 0) < 2 ** 31 - 1, goaways.join());
      }
    });

    test(`idle sessions are let go, and a client that does not go is reset after the linger: ${name}, ${how}`, async () => {
      const server = make();
      server.on('stream', answer);
      const port = await start(server);
      const client = new FrameClient(port, name === 'TLS' ? trust : null);
      assert.equal(await client.request(), 'answered');
      const silent = new FrameClient(port, name === 'TLS' ? trust : null);
      silent.answersPing = false;
      assert.equal(await silent.request(), 'answered');
      const closed = await close(server, { idleMs: 300, graceMs: 5000 });
      assert.deepEqual(counts(closed), [0, 2, 0]);
      assert.ok(closed.elapsedMs < 2000, String(closed.elapsedMs));
      await Promise.all([client.closed, silent.closed]);
    });
  }

  test(`a stream that takes its time is finished, new ones of a client that ignores GOAWAY are refused: ${how}`, async () => {
    const server = http2.createServer();
    let answered = 0;
    server.on('stream', (stream) => {
      setTimeout(
        () => {
          if (stream.destroyed) return;
          stream.respond();
          stream.end('done');
        },
        answered++ === 0 ? 800 : 5,
      );
    });
    const client = new FrameClient(await start(server));
    const long = client.request();
    await once(server, 'stream');
    const closed = close(server, { idleMs: 200 });
    const others: Promise<Outcome>[] = [];
    for (let i = 0; i < 40; i++) {
      await sleep(10);
      others.push(client.request());
    }
    assert.equal(await long, 'answered');
    const all = await Promise.all(others);
    assert.ok(all.includes('answered') && all.at(-1) !== 'answered', all.join());
    assert.deepEqual(counts(await closed), [1, 0, 0]);
  });

  test(`HTTP/1.1 on an HTTP/2 server says Connection: close, and is let go when it is idle: ${how}`, async () => {
    const server = http2.createSecureServer({ ...secure, allowHTTP1: true }, (_request, response) => {
      setTimeout(() => response.end('done'), 100);
    });
    const port = await start(server);
    const idle = tls.connect({ ...trust, port, host: '127.0.0.1', ALPNProtocols: ['http/1.1'] });
    idle.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(idle, 'data');
    const gone = once(idle, 'end');
    const request = https.get({ ...trust, port, host: '127.0.0.1', agent: false });
    await once(server, 'request');
    const closed = close(server, { idleMs: 200 });
    const [response] = await once(request, 'response');
    assert.equal(response.headers.connection, 'close');
    response.resume();
    await gone;
    const { finished, idle: left, killed } = await closed;
    assert.deepEqual([finished + left, killed], [2, 0]);
  });
}

test("Node's own client gets an answer to every request that reached the server", {
  timeout: 60_000,
}, async () => {
  const server = http2.createServer();
  let taken = 0;
  server.on('stream', (stream) => {
    taken++;
    answer(stream);
  });
  const port = await (starts["Node's listen"] as Start)(server);
  const results: string[] = [];
  const sessions = Array.from({ length: 8 }, () => http2.connect(`http://127.0.0.1:${port}`));
  const ask = (session: http2.ClientHttp2Session): void => {
    if (session.closed || session.destroyed) return;
    const stream = session.request();
    let result = 'no answer';
    stream.on('response', () => (result = 'answered'));
    stream.on('error', (error) => (result = error.message));
    stream.on('close', () => {
      results.push(result);
      ask(session);
    });
    stream.resume();
  };
  for (const session of sessions) for (let i = 0; i < 10; i++) ask(session);
  await once(server, 'stream');
  await sleep(200);
  const { killed } = await close(server);
  assert.equal(killed, 0);
  assert.ok(taken > 100, String(taken));
  assert.equal(results.filter((result) => result === 'answered').length, taken);
  // What the client had not sent yet when it read the GOAWAY, it refuses itself.
  const others = new Set(results.filter((result) => result !== 'answered'));
  others.delete('Stream closed with error code NGHTTP2_REFUSED_STREAM');
  assert.deepEqual([...others], []);
});
