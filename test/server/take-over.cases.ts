import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { close, listen, reserve, why } from '../../src/index.ts';
import { os } from '../../src/os/index.ts';
import { askForSocket } from '../../src/server/offer.ts';

interface Line {
  pid: number;
  port?: number;
  predecessor?: { pid: number; how: string } | null;
  error?: string;
  code?: string;
  why?: string;
  blocked?: boolean;
  listening?: boolean;
  predecessors?: unknown[];
}

const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
});

function generation(
  port: number,
  env: Record<string, string> = {},
  program = 'generation',
  cwd = process.cwd(),
): { child: ChildProcess; line: Promise<Line> } {
  const script = fileURLToPath(new URL(`programs/${program}.js`, import.meta.url));
  const child = spawn(process.execPath, [script], {
    cwd,
    env: { ...process.env, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.add(child);
  child.on('exit', () => children.delete(child));
  const line = new Promise<Line>((resolve, reject) => {
    createInterface(child.stdout as NodeJS.ReadableStream).once('line', (text) =>
      resolve(text.startsWith('{') ? (JSON.parse(text) as Line) : { pid: child.pid ?? 0 }),
    );
    child.once('exit', (status) => reject(new Error(`ended with ${status} before it said anything`)));
  });
  return { child, line };
}

/** A port that was free just now; a reservation of ours would be one more holder. */
async function freePort(): Promise<number> {
  using port = await reserve({ host: '127.0.0.1' });
  return port.port;
}

function ask(port: number, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', path, agent: false, timeout: 5000 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve(body));
      response.on('error', reject);
    });
    request.on('error', reject);
    request.on('timeout', () => request.destroy(new Error('timeout')));
  });
}

async function end(...all: ChildProcess[]): Promise<void> {
  for (const child of all) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

test('ten generations take over from each other under load: nobody is refused, nothing is reset', {
  timeout: 120_000,
}, async () => {
  const port = await freePort();
  let current = generation(port);
  await current.line;
  const failures: string[] = [];
  let asked = 0;
  const pending: Promise<unknown>[] = [];
  const load = setInterval(() => {
    asked++;
    pending.push(ask(port).catch((error: NodeJS.ErrnoException) => failures.push(error.code ?? error.message)));
  }, 5);
  for (let i = 0; i < 10; i++) {
    const next = generation(port);
    const line = await next.line;
    assert.equal(line.error, undefined);
    assert.deepEqual(line.predecessor, { pid: current.child.pid, how: 'taken' });
    assert.ok(
      current.child.exitCode !== null || current.child.signalCode !== null || (await once(current.child, 'exit')),
    );
    current = next;
  }
  clearInterval(load);
  await Promise.all(pending);
  assert.deepEqual(failures, []);
  assert.ok(asked > 100, String(asked));
  await end(current.child);
});

test('what the old process is answering is finished by it, and what waits in the queue is served by the new one', async () => {
  const port = await freePort();
  const old = generation(port);
  await old.line;
  const slow = ask(port, '/?delay=700');
  await sleep(100);
  const next = generation(port);
  await next.line;
  assert.equal(await slow, String(old.child.pid));
  assert.equal(await ask(port), String(next.child.pid));
  await end(next.child);
});

test('a free port is simply listened on', async () => {
  const { child, line } = generation(await freePort());
  assert.equal((await line).predecessor, null);
  await end(child);
});

test('an old instance that ends at once, and one that knows nothing of rebind, are taken over too', async () => {
  for (const mode of ['dies', 'bare', 'plain']) {
    const port = await freePort();
    const old = generation(port, { MODE: mode });
    await old.line;
    const startMs = performance.now();
    const next = generation(port);
    assert.deepEqual((await next.line).predecessor, { pid: old.child.pid, how: 'taken' });
    // Node 26 once noticed the end of the old process only when the time for it was over.
    assert.ok(performance.now() - startMs < 5000, `${mode} took ${performance.now() - startMs}`);
    assert.equal(await ask(port), String(next.child.pid));
    await end(next.child);
  }
});

test('an old instance that does not end keeps the port, and the new one fails and lets go', async () => {
  const port = await freePort();
  const old = generation(port, { MODE: 'deaf' });
  await old.line;
  const next = generation(port, { TIMEOUT_MS: '300' });
  const line = await next.line;
  assert.equal(line.code, 'EADDRINUSE');
  assert.equal(line.blocked, true);
  assert.match(line.why ?? '', /was asked to end and did not in time, so it keeps the port/);
  for (let i = 0; i < 20; i++) assert.equal(await ask(port), String(old.child.pid));
  await end(old.child, next.child);
});

test('with force it is killed', async () => {
  const port = await freePort();
  const old = generation(port, { MODE: 'deaf' });
  await old.line;
  const next = generation(port, { TIMEOUT_MS: '300', FORCE: '1' });
  assert.deepEqual((await next.line).predecessor, { pid: old.child.pid, how: 'taken' });
  assert.equal(await ask(port), String(next.child.pid));
  await end(next.child);
});

test('another program keeps its port, unless it is named', async () => {
  const port = await freePort();
  const other = generation(port, {}, 'answer');
  await other.line;
  const refused = generation(port);
  const line = await refused.line;
  assert.equal(line.code, 'EADDRINUSE');
  assert.match(line.why ?? '', /is another program/);
  assert.equal(await ask(port), `answer ${other.child.pid}`);
  const wrong = generation(port, { FROM: '1' });
  assert.match((await wrong.line).why ?? '', /holds the port, not process 1/);
  const named = generation(port, { FROM: String(other.child.pid) });
  assert.deepEqual((await named.line).predecessor, { pid: other.child.pid, how: 'taken' });
  await end(other.child, refused.child, wrong.child, named.child);
});

test('an older instance on a narrower address cannot be served on: it is asked, and the port is bound anew', async () => {
  const port = await freePort();
  const old = generation(port);
  await old.line;
  // A client that is connected leaves remains, which the mark makes harmless.
  const client = net.connect(port, '127.0.0.1');
  await once(client, 'connect');
  const next = generation(port, { HOST: '0.0.0.0' });
  assert.deepEqual((await next.line).predecessor, { pid: old.child.pid, how: 'asked' });
  assert.equal(await ask(port), String(next.child.pid));
  client.destroy();
  await end(next.child);
});

test('this process itself is no predecessor', async () => {
  const server = net.createServer();
  const { port } = await listen(server, { port: 0, host: '127.0.0.1' });
  await assert.rejects(listen(net.createServer(), { port, host: '127.0.0.1', busy: 'take-over' }), (error: Error) => {
    assert.match((error.cause as Error).message, /This process itself holds the port/);
    return true;
  });
  await close(server);
});

test('the handshake hands over the very socket, to programs of the same user', async () => {
  const port = await freePort();
  const old = generation(port);
  await old.line;
  const offered = await askForSocket(os(), '127.0.0.1', port);
  assert.ok(offered);
  assert.equal(offered.pid, old.child.pid);
  assert.match(offered.program.script ?? '', /generation$/);
  assert.equal(os().sockets.isListening(offered.descriptor), true);
  assert.deepEqual(os().sockets.address(offered.descriptor), { protocol: 'tcp', address: '127.0.0.1', port });
  os().sockets.close(offered.descriptor);
  await end(old.child);
  assert.equal(await askForSocket(os(), '127.0.0.1', port), null);
});

test('several new instances that start together take over one after the other, and one of them has the port', {
  timeout: 60_000,
}, async () => {
  const port = await freePort();
  const old = generation(port);
  await old.line;
  // The old one has something to finish, so that all of them find it in the way.
  const slow = ask(port, '/?delay=1500');
  await sleep(100);
  const all = [generation(port), generation(port), generation(port)];
  const lines = await Promise.all(all.map(({ line }) => line));
  assert.equal(await slow, String(old.child.pid));
  for (const { error, why } of lines) if (error !== undefined) assert.match(why ?? '', /is a newer instance/);
  const oldest = lines.filter(({ predecessor }) => predecessor?.pid === old.child.pid);
  assert.equal(oldest.length, 1, JSON.stringify(lines));
  const answers = new Set<string>();
  for (let i = 0; i < 20; i++) answers.add(await ask(port));
  assert.equal(answers.size, 1, [...answers].join());
  await end(...all.map(({ child }) => child));
});

test('where no descriptor may be copied the old instance hands it over; one that knows nothing of rebind is asked', async () => {
  for (const [mode, how] of [
    ['drain', 'handed'],
    ['plain', 'asked'],
  ] as const) {
    const port = await freePort();
    const old = generation(port, { MODE: mode });
    await old.line;
    const next = generation(port, { NO_COPY: '1' });
    assert.deepEqual((await next.line).predecessor, { pid: old.child.pid, how });
    assert.equal(await ask(port), String(next.child.pid));
    await end(next.child);
  }
});

test('an old instance that calls itself something else is found by what it says of itself', async () => {
  const port = await freePort();
  const old = generation(port, { TITLE: 'shop' });
  await old.line;
  const next = generation(port);
  assert.deepEqual((await next.line).predecessor, { pid: old.child.pid, how: 'taken' });
  await end(next.child);
});

test('giving up while the old instance still answers leaves the port to it alone', async () => {
  const port = await freePort();
  const old = generation(port, { MODE: 'deaf' });
  await old.line;
  const next = generation(port, { ABORT_MS: '700' });
  const { error, listening } = await next.line;
  assert.match(error ?? '', /aborted/);
  assert.equal(listening, false);
  for (let i = 0; i < 20; i++) assert.equal(await ask(port), String(old.child.pid));
  await end(old.child, next.child);
});

test('a child of the old instance that has the socket, too, goes with it', async () => {
  const port = await freePort();
  const old = generation(port, { MODE: 'child' });
  await old.line;
  await holders(port, 2);
  const next = generation(port);
  assert.deepEqual((await next.line).predecessor, { pid: old.child.pid, how: 'taken' });
  assert.deepEqual(await holders(port, 1), [next.child.pid]);
  await end(next.child);
});

test('Unix sockets: the old instance is asked, and what one that was killed left behind is removed', async () => {
  for (const mode of ['drain', 'bare', 'killed']) {
    const path = `/tmp/rebind-take-over-${process.pid}-${mode}.sock`;
    const old = generation(0, { PATH_TO: path, MODE: mode });
    await old.line;
    if (mode === 'killed') await end(old.child);
    const next = generation(0, { PATH_TO: path, MODE: 'drain' });
    const { predecessor, error } = await next.line;
    assert.equal(error, undefined);
    assert.deepEqual(predecessor, mode === 'killed' ? null : { pid: old.child.pid, how: 'asked' });
    const client = net.connect(path);
    await once(client, 'connect');
    client.destroy();
    await end(next.child);
    rmSync(path, { force: true });
  }
});

test('a Unix socket in the directory of both programs is taken over from another program, and one elsewhere is not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-take-over-'));
  for (const path of [join(folder, 'app.sock'), join(folder, 'sub/app.sock')]) {
    const elsewhere = path.includes('sub');
    mkdirSync(dirname(path), { recursive: true });
    const cwd = elsewhere ? dirname(path) : folder;
    const other = generation(0, { PATH_TO: path }, 'answer', cwd);
    await other.line;
    const next = generation(0, { PATH_TO: path, MODE: 'drain' }, 'generation', folder);
    const { predecessor, code } = await next.line;
    if (elsewhere) assert.equal(code, 'EADDRINUSE');
    else assert.deepEqual(predecessor, { pid: other.child.pid, how: 'asked' });
    const client = net.connect(path);
    await once(client, 'connect');
    client.destroy();
    await end(next.child, other.child);
  }
  rmSync(folder, { recursive: true });
});

test('a file that is no socket is left alone', async () => {
  const path = `/tmp/rebind-take-over-${process.pid}.txt`;
  writeFileSync(path, 'mine');
  const next = generation(0, { PATH_TO: path });
  assert.equal((await next.line).code, 'EADDRINUSE');
  assert.equal(readFileSync(path, 'utf8'), 'mine');
  rmSync(path);
  await end(next.child);
});

test('UDP: the old instance is asked, and the new one has the port', async () => {
  using reserved = await reserve({ protocol: 'udp', host: '127.0.0.1' });
  const { port } = reserved;
  reserved.release();
  const old = generation(port, { UDP: '1', MODE: 'bare' });
  await old.line;
  const next = generation(port, { UDP: '1' });
  const line = await next.line;
  assert.deepEqual([line.port, line.predecessor], [port, { pid: old.child.pid, how: 'asked' }]);
  await end(next.child);
});

test('cluster: the workers of a new primary ask the old primary once, and serve on a socket of their own primary', {
  timeout: 30_000,
}, async () => {
  const port = await freePort();
  const old = generation(port, {}, 'cluster-generation');
  await old.line;
  const next = generation(port, {}, 'cluster-generation');
  const { predecessors } = await next.line;
  assert.deepEqual(predecessors, [{ pid: old.child.pid, how: 'asked' }, null]);
  assert.deepEqual(await holders(port, 1), [next.child.pid]);
  assert.match(await ask(port), /^worker/);
  await end(old.child, next.child);
});

/** The processes that have the listener, once there are so many. */
async function holders(port: number, count: number): Promise<number[]> {
  for (let i = 0; ; i++) {
    const { blockers } = await why({ port, host: '127.0.0.1' });
    const pids = blockers.flatMap((blocker) => blocker.holders.map(({ pid }) => pid));
    if (pids.length === count) return pids;
    assert.ok(i < 100, `${pids.join()} hold it`);
    await sleep(20);
  }
}
