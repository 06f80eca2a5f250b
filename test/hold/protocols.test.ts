/** Connections that outlive a request, over a restart of a server that knows nothing of hold: HTTP/2 sessions, WebSockets, upgrades, tunnels. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import net, { type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import WebSocket from 'ws';
import { FrameClient, type Outcome } from '../server/http2-client.ts';
import { fixture, type Held, nodes, start } from './harness.ts';

const fixtures = new URL('../../../test/fixtures/', import.meta.url);
const trust = { ca: readFileSync(new URL('localhost.cert.pem', fixtures)), servername: 'localhost' };
const lingerMs = 300;

async function serve(node: string | null, program: string): Promise<Held> {
  const hold = await start({ command: [node ?? '', fixture('protocols.cjs'), program], lingerMs, graceMs: 8_000 });
  await hold.heard('ready');
  return hold;
}

for (const { name, path } of nodes()) {
  describe(name, { skip: path === null && 'not installed: npm ci --prefix test/versions' }, () => {
    for (const program of ['h2c', 'h2']) {
      test(`${program}: sessions from before the stop get their GOAWAY, and no stream is refused`, async () => {
        await using hold = await serve(path, program);
        const clients = Array.from({ length: 4 }, () => new FrameClient(hold.port, program === 'h2' ? trust : null));
        const outcomes: Promise<Outcome>[] = [];
        for (const client of clients) {
          let isTold = false;
          client.onGoaway = () => {
            isTold = true;
          };
          void (async () => {
            while (!isTold && !client.socket.destroyed) {
              const outcome = client.request();
              outcomes.push(outcome);
              await outcome;
              await sleep(5);
            }
          })();
        }
        assert.ok((await Promise.all(clients.map((client) => client.request()))).every((one) => one === 'answered'));
        assert.equal((await hold.held.restart()).outcome, 'done');
        const { counts, elapsedMs } = await retired(hold);
        await Promise.all(clients.map(({ closed }) => closed));
        const all = await Promise.all(outcomes);
        assert.ok(all.length > clients.length, String(all.length));
        assert.deepEqual(
          all.filter((outcome) => outcome !== 'answered'),
          [],
          `of ${all.length}`,
        );
        assert.equal(counts?.killed, 0);
        for (const { goaways } of clients) assert.equal(goaways[0], 2 ** 31 - 1, goaways.join());
        assert.ok(elapsedMs < 5_000, `the sessions were open for ${elapsedMs} ms`);
      });
    }

    for (const [program, scheme, at] of [
      ['ws', 'ws', '/'],
      ['wss', 'wss', '/'],
      ['ws by hand', 'ws', '/'],
      ['wss by hand', 'wss', '/'],
      ['socket.io', 'ws', '/socket.io/?EIO=4&transport=websocket'],
    ] as const) {
      test(`${program}: a WebSocket is told 1012, and does not hold the old process up`, async () => {
        await using hold = await serve(path, program);
        const client = new WebSocket(`${scheme}://127.0.0.1:${hold.port}${at}`, scheme === 'wss' ? trust : {});
        await once(client, 'open');
        const closed = once(client, 'close');
        assert.equal((await hold.held.restart()).outcome, 'done');
        assert.equal((await closed)[0], 1012);
        const { counts, elapsedMs } = await retired(hold);
        assert.equal(counts?.killed, 0);
        assert.ok(elapsedMs < 5_000, `${elapsedMs} ms`);
      });
    }

    for (const program of ['http', 'https']) {
      test(`${program}: an upgrade and a tunnel of CONNECT are never taken for idle`, async () => {
        await using hold = await serve(path, program);
        const heads = [
          'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n',
          'CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n',
        ];
        const clients = await Promise.all(heads.map((head) => opened(hold.port, program === 'https', head)));
        assert.equal((await hold.held.restart()).outcome, 'done');
        await hold.heard('draining');
        // Longer than whatever is idle may live.
        await sleep(5 * lingerMs);
        for (const client of clients) assert.equal(await say(client, 'x'), '1x');
        for (const client of clients) client.end();
        assert.equal((await retired(hold)).counts?.killed, 0);
      });
    }
  });
}

async function retired(hold: Held) {
  const startMs = performance.now();
  const { counts } = await hold.heard('retired');
  return { counts, elapsedMs: performance.now() - startMs };
}

async function opened(port: number, secure: boolean, head: string): Promise<Socket> {
  const socket = secure ? tls.connect({ ...trust, port, host: '127.0.0.1' }) : net.connect(port, '127.0.0.1');
  assert.match(await say(socket, head), /^HTTP\/1.1 (?:101|200) /);
  return socket;
}

async function say(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [chunk] = await once(socket, 'data');
  return String(chunk);
}
