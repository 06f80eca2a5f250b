/** What probers are told, on every Node: alive to the end, ready only while clients are welcome. */
import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isBlockedPortError } from '../../src/errors.ts';
import { close } from '../../src/server/close.ts';
import { health } from '../../src/server/health.ts';
import type { HealthServers } from '../../src/server/health-options.ts';
import { listen } from '../../src/server/listen.ts';
import { learnedLameDuckMs, noteProbe } from '../../src/server/probes.ts';

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
  readonly connection: string | undefined;
}

function ask(port: number, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: '127.0.0.1', path, method, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode, text, connection: response.headers.connection }));
    });
    request.on('error', reject).end();
  });
}

/** All that a peer says until it closes. */
async function hear(port: number): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(socket, 'close');
  return text;
}

const app = (): http.Server => http.createServer((_request, response) => response.end('ok'));
const local = { port: 0, host: '127.0.0.1' };

test('ready from the first listen to the call of close, alive to the end, on connections that are closed at once', async () => {
  const server = app();
  const told = await health(server, local);
  assert.ok(told.port !== null && told.port > 0);
  assert.deepEqual(await ask(told.port, '/readyz'), { status: 503, text: 'not listening\n', connection: 'close' });
  await listen(server, local);
  assert.deepEqual(await ask(told.port, '/readyz?full'), { status: 200, text: 'ready\n', connection: 'close' });
  assert.equal((await ask(told.port, '/readyz', 'HEAD')).text, '');
  assert.equal((await ask(told.port, '/readyz', 'POST')).status, 404);
  assert.equal((await ask(told.port, '/')).status, 404);
  const closed = close(server, { lameDuckMs: 300, idleMs: 10 });
  assert.deepEqual(await ask(told.port, '/readyz'), { status: 503, text: 'closing\n', connection: 'close' });
  assert.equal((await ask(told.port, '/livez')).status, 200);
  await closed;
  assert.equal((await ask(told.port, '/readyz')).text, 'not listening\n');
  assert.equal((await ask(told.port, '/livez')).status, 200);
  await told.close();
});

test('a check that fails, throws, or hangs is named, and runs once however many ask', async () => {
  const server = app();
  await listen(server, local);
  let asked = 0;
  const hangs = new Promise<never>(() => {});
  await using told = await health(server, {
    ...local,
    checkMs: 50,
    checks: {
      good: () => true,
      'no\u001b[31m': () => false,
      throws: () => {
        throw new Error('no database');
      },
      rejects: () => Promise.reject(new Error('no cache')),
      hangs: () => {
        asked++;
        return hangs;
      },
    },
  });
  const answers = await Promise.all([1, 2, 3].map(() => ask(told.port ?? 0, '/readyz')));
  for (const { status, text } of answers) {
    assert.equal(status, 503);
    assert.equal(text, 'failing: no\\x1b[31m, throws, rejects, hangs\n');
  }
  assert.equal(asked, 1);
  // It hangs still, so it is not asked a second time.
  assert.match((await ask(told.port ?? 0, '/readyz')).text, /hangs/);
  assert.equal(asked, 1);
  await close(server, { idleMs: 10 });
});

test("HAProxy's agent is told to lift an earlier drain, and to drain while the server closes", async () => {
  const server = app();
  await listen(server, local);
  await using told = await health(server, { host: '127.0.0.1', agentPort: 0 });
  assert.equal(told.port, null);
  const agent = told.agentPort ?? 0;
  assert.equal(await hear(agent), 'ready up 100%\n');
  const closed = close(server, { lameDuckMs: 200, idleMs: 10 });
  assert.equal(await hear(agent), 'drain\n');
  await closed;
  assert.equal(await hear(agent), 'ready down\n');
});

test('the handler answers its paths and leaves the others, also for a server that is made later', async () => {
  let made: http.Server | null = null;
  const told = await health(() => made, { closingStatus: 404 });
  const server = http.createServer((request, response) => {
    told.handler(request, response, () => response.end('app'));
  });
  assert.equal(await told.reason(), 'not listening');
  const { port } = await listen(server, local);
  made = server;
  assert.equal(await told.reason(), null);
  assert.equal((await ask(port, '/')).text, 'app');
  assert.equal((await ask(port, '/readyz')).status, 200);
  const closed = close(server, { lameDuckMs: 200, idleMs: 10 });
  assert.equal((await ask(port, '/readyz')).status, 404);
  await closed;
});

test('a function of the program that throws is an answer, not the end of the program', async () => {
  const broken = (): never => {
    throw new Error('no server');
  };
  await using told = await health(broken as HealthServers, { ...local, agentPort: 0 });
  assert.equal((await ask(told.port ?? 0, '/readyz')).status, 503);
  assert.equal(await hear(told.agentPort ?? 0), 'ready down\n');
});

test('a health port that is taken says by whom, and leaves nothing open', async () => {
  const server = app();
  const { port } = await listen(server, local);
  const other = net.createServer();
  const { port: agentPort } = await listen(other, local);
  await assert.rejects(health(server, { ...local, agentPort }), isBlockedPortError);
  await assert.rejects(health(server, { host: '127.0.0.1', port }), isBlockedPortError);
  await Promise.all([close(server, { idleMs: 10 }), close(other, { idleMs: 10 })]);
});

test('a prober that sends nothing, or never ends its request, keeps nobody else from being answered', async () => {
  const server = app();
  await listen(server, local);
  await using told = await health(server, { ...local, agentPort: 0 });
  const slow = [net.connect(told.port ?? 0, '127.0.0.1'), net.connect(told.port ?? 0, '127.0.0.1')];
  slow[1]?.write('GET /readyz HTTP/1.1\r\nX: ');
  for (const socket of slow) socket.on('error', () => {});
  assert.equal((await ask(told.port ?? 0, '/readyz')).status, 200);
  for (const socket of slow) socket.destroy();
  await close(server, { idleMs: 10 });
});

test('connections that only wait turn no prober away, and closing waits for none that goes on sending', {
  timeout: 30_000,
}, async () => {
  const told = await health(app(), { ...local, agentPort: 0 });
  const { port, agentPort } = told;
  assert.ok(port !== null && agentPort !== null);
  const idle = Array.from({ length: 300 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  await Promise.all(idle.map((socket) => once(socket, 'connect')));
  assert.equal((await ask(port, '/livez')).status, 200);
  const talker = net.connect({ port: agentPort, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
  talker.resume();
  await once(talker, 'end');
  talker.write('and another thing');
  await told.close();
  for (const socket of [...idle, talker]) socket.destroy();
});

test('many names of one address do not drive out a prober of another', () => {
  const server = {};
  const ask = (prober: string): void => {
    for (let times = 0; times < 3; times++) noteProbe(server, prober);
  };
  ask('192.0.2.1 balancer');
  const learned = learnedLameDuckMs(server);
  for (let name = 0; name < 100; name++) noteProbe(server, `192.0.2.2 ${name}`);
  assert.equal(learnedLameDuckMs(server), learned);
});

test('lameDuckMs auto waits three intervals of the prober and a second, and not at all where nobody asks', async () => {
  const quiet = app();
  await listen(quiet, local);
  assert.equal((await close(quiet, { lameDuckMs: 'auto', idleMs: 10 })).lameDuckMs, 0);
  const server = app();
  await listen(server, local);
  await using told = await health(server, local);
  for (let index = 0; index < 5; index++) {
    await ask(told.port ?? 0, '/readyz');
    await sleep(50);
  }
  const { lameDuckMs } = await close(server, { lameDuckMs: 'auto', idleMs: 10 });
  assert.ok(lameDuckMs >= 1100 && lameDuckMs < 3000, `${lameDuckMs} ms`);
});

test('what is wrong is one sentence, and nothing is opened', async () => {
  const server = app();
  const bad: readonly [HealthServers, object, RegExp][] = [
    [{} as HealthServers, {}, /health\(\) needs a server/],
    [server, { port: 70_000 }, /A port is a whole number/],
    [server, { prt: 1 }, /'prt' is not an option of health\(\)/],
    [server, { checks: { a: 1 } }, /The check 'a' is a function/],
    [server, { closingStatus: 500 }, /closingStatus is 503 or 404/],
    [server, { checkMs: -1 }, /checkMs is a number of milliseconds/],
  ];
  for (const [servers, options, message] of bad) await assert.rejects(health(servers, options), { message });
});

test('close waits for tracked work, runs what comes after in order, and tells each step of the way', async () => {
  const states: string[] = [];
  const onState = (message: unknown): void => {
    const { server: whose, state } = message as { server: unknown; state: string };
    if (whose === server) states.push(state);
  };
  subscribe('rebind:state', onState);
  const server = app();
  await listen(server, local);
  const done: string[] = [];
  close.track(sleep(150).then(() => done.push('work')));
  const failing = async (): Promise<void> => {
    done.push('database');
    throw new Error('database is gone');
  };
  const hanging = (): Promise<void> => new Promise(() => {});
  const flush = ({ finished }: { readonly finished: number }): number => done.push(`flush ${finished}`);
  const closed = close(server, { lameDuckMs: 50, idleMs: 10, after: [failing, hanging, flush], afterMs: 50 });
  await assert.rejects(closed, (error: AggregateError) => {
    assert.deepEqual(
      error.errors.map((each: Error) => each.message),
      ['database is gone', "close() went on without step 2 of 'after' (hanging), which took over 50 ms"],
    );
    return true;
  });
  assert.deepEqual(done, ['work', 'database', 'flush 0']);
  assert.deepEqual(states, ['listening', 'lame-duck', 'draining', 'finishing', 'closed']);
  unsubscribe('rebind:state', onState);
});

test('work that takes longer than the grace is left, and counted', async () => {
  const server = app();
  await listen(server, local);
  const enough = new AbortController();
  close.track(sleep(60_000, null, { signal: enough.signal }).catch(() => {}));
  const { workLeft, elapsedMs } = await close(server, { graceMs: 100, idleMs: 10 });
  assert.equal(workLeft, 1);
  assert.ok(elapsedMs < 5000);
  enough.abort();
});

test('tracked work that fails is a warning, and the promise is the same', async () => {
  const warned = once(process, 'warning');
  const work = Promise.reject(new Error('no mail'));
  assert.equal(close.track(work), work);
  const [{ message, code }] = (await warned) as [Error & { code: string }];
  assert.match(message, /no mail/);
  assert.equal(code, 'REBIND_TRACKED_WORK');
  assert.throws(() => close.track(3 as never), /takes a promise/);
});

test('an endless stream hears by close.signal that its server goes, after the lame duck', async () => {
  const server: http.Server = http.createServer((_request, response) => {
    response.write('first');
    close.signal(server).addEventListener('abort', () => response.end('last'));
  });
  const { port } = await listen(server, local);
  const answer = ask(port, '/');
  await once(server, 'request');
  const { killed } = await close(server, { lameDuckMs: 50, graceMs: 5000, idleMs: 10 });
  assert.equal(killed, 0);
  assert.equal((await answer).text, 'firstlast');
  assert.equal(close.signal(server).aborted, false, 'the next listen has one of its own');
});

test('idleTimeoutMs outlasts a proxy, and is refused where no connection is kept for the next request', async () => {
  const server = app();
  await listen(server, { ...local, idleTimeoutMs: 'behind-proxy' });
  assert.equal(server.keepAliveTimeout, 75_000);
  await close(server, { idleMs: 10 });
  await assert.rejects(listen(net.createServer(), { ...local, idleTimeoutMs: 1000 }), /servers of http and https/);
  await assert.rejects(listen(app(), { ...local, idleTimeoutMs: -1 }), /a number of milliseconds/);
});
