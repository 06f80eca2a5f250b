import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fixture, freePort, get, losesNothing, nodes, start } from './harness.ts';

const shape = (name: string, node = process.execPath): string[] => [node, fixture('shapes.cjs'), name];

for (const { name, path } of nodes()) {
  const skip = path === null && 'not installed: npm ci --prefix test/versions';
  const node = path ?? '';
  test(`${name}: servers that probe the port first find it free, and the probe does not accept anybody`, {
    skip,
  }, async () => {
    await using hold = await start({ command: shape('probe', node) });
    await hold.heard('ready');
    assert.equal(await get(hold.port), `1 probed ${hold.port} ${hold.port}`);
    await hold.held.restart();
    assert.equal(await get(hold.port), `2 probed ${hold.port} ${hold.port}`);
  });

  test(`${name}: a server that gets its connection listener after listen() is a server and not a probe`, {
    skip,
  }, async () => {
    await using hold = await start({ command: shape('late', node) });
    await hold.heard('ready');
    assert.equal(await get(hold.port), 'late');
  });

  test(`${name}: a server can be closed and listen again, many times`, { skip }, async () => {
    await using hold = await start({ command: shape('again', node) });
    await hold.heard('ready');
    // It said ready when it first listened; the last of its servers answers in the end.
    for (let i = 0; i < 50 && (await get(hold.port)) !== '1 sixth'; i++) await sleep(20);
    assert.equal(await get(hold.port), '1 sixth');
  });

  test(`${name}: a second server on the same port of the same program still gets EADDRINUSE`, { skip }, async () => {
    await using hold = await start({ command: shape('second', node) });
    await hold.heard('ready');
    for (let i = 0; i < 50 && (await get(hold.port)) === '1 first'; i++) await sleep(20);
    assert.equal(await get(hold.port), '1 EADDRINUSE');
  });

  for (const kind of ['cluster', 'shared', 'thread'] as const) {
    const what = { cluster: 'a cluster', shared: 'a cluster with shared handles', thread: 'a worker thread' }[kind];
    test(`${name}: ${what} serves on the held socket and loses nothing over restarts`, { skip }, async () => {
      await using hold = await start({ command: shape(kind, node), lingerMs: 500 });
      await losesNothing(hold, { modes: ['new', 'keep-alive', 'late'] });
    });
  }
}

test('the queue stays as long as hold made it, whatever the program asks for', async () => {
  await using hold = await start({ command: shape('backlog'), backlog: 300 });
  await hold.heard('ready');
  const [endpoint] = hold.held.status().endpoints;
  assert.equal(endpoint?.limit, 300);
});

test('process.send("ready") counts as ready when it is asked for, also without a channel', async () => {
  await using hold = await start({ command: shape('message'), readyBy: 'message' });
  const { by, afterMs } = await hold.heard('ready');
  assert.equal(by, 'message');
  assert.ok(afterMs >= 200);
});

test('a second port of the program is handed over too, so that the new process does not find it in use', async () => {
  const adminPort = await freePort();
  await using hold = await start({ command: shape('two'), env: { ADMIN_PORT: String(adminPort) } });
  await hold.heard('ready');
  assert.equal(await get(adminPort), '1 admin');
  assert.equal((await hold.held.restart()).outcome, 'done');
  assert.equal((await hold.heard('learned')).endpoint.protocol, 'tcp');
  await hold.heard('retired');
  assert.equal(await get(adminPort), '2 admin');
  assert.equal(await get(hold.port), '2 main');
});

test('what was in NODE_OPTIONS stays, and variables of a foreign socket activation do not reach the program', async () => {
  const foreign = {
    NODE_OPTIONS: '--max-old-space-size=300',
    LISTEN_FDS: '7',
    LISTEN_PID: '1',
    LISTEN_FDNAMES: 'x',
    // dash would drop it.
    'npm_config_//registry.example/:_authToken': 'secret',
    BASH_ENV: '/nonexistent',
  };
  await using hold = await start({ command: shape('environment'), env: foreign });
  const { pid } = await hold.heard('ready');
  const seen = JSON.parse(await get(hold.port)) as Record<string, string>;
  assert.match(seen['NODE_OPTIONS'] ?? '', /^--max-old-space-size=300 --require=\//);
  assert.equal(seen['LISTEN_FDS'], '1');
  assert.equal(seen['LISTEN_PID'], String(pid));
  assert.equal(seen['LISTEN_FDNAMES']?.includes(':'), false);
  assert.equal(seen['REBIND_GENERATION'], '1');
  assert.equal(seen['npm_config_//registry.example/:_authToken'], 'secret');
});

test('without an endpoint the port is learned from the program, port 0 too, and survives its SIGKILL', async () => {
  await using hold = await start({
    command: [process.execPath, fixture('server.cjs')],
    env: { PORT: '0', BOOT_MS: '100' },
    endpoints: () => [],
  });
  const { endpoint } = await hold.heard('learned');
  assert.equal(endpoint.protocol, 'tcp');
  const port = endpoint.protocol === 'tcp' ? endpoint.port : 0;
  const { pid } = await hold.heard('ready');
  assert.match(await get(port), /^1 /);
  process.kill(pid, 'SIGKILL');
  await hold.heard('crash');
  assert.match(await get(port), /^2 /);
  assert.equal((await hold.held.restart()).outcome, 'done');
  assert.match(await get(port), /^3 /);
});

test('a bare port follows the program: one that wants loopback only is not opened to the network', async () => {
  await using hold = await start({
    command: [process.execPath, fixture('server.cjs')],
    endpoints: (port) => [String(port)],
  });
  await hold.heard('ready');
  assert.deepEqual(hold.held.endpoints, [{ protocol: 'tcp', address: '127.0.0.1', port: hold.port }]);
  // Somebody else can have the other addresses, which shows that nothing of ours listens there.
  const other = createServer();
  await new Promise<void>((resolve, reject) => other.once('error', reject).listen(hold.port, '127.0.0.2', resolve));
  other.close();
  assert.match(await get(hold.port), /^1 /);
  assert.equal((await hold.held.restart()).outcome, 'done');
  assert.match(await get(hold.port), /^2 /);
});

test('a bare port serves IPv4 and IPv6 for a program that names no address', async () => {
  const command = [
    process.execPath,
    '-e',
    `require('http').createServer((q, r) => r.end('both')).listen(process.env.PORT)`,
  ];
  await using hold = await start({ command, endpoints: (port) => [String(port)] });
  await hold.heard('ready');
  assert.equal(await get(hold.port), 'both');
  assert.equal(await get(hold.port, '/', '[::1]'), 'both');
});

test('a UDP port is held over restarts, and datagrams that come meanwhile wait', async () => {
  const source = `const s = require('dgram').createSocket('udp4'); s.on('message', (m, from) => s.send(process.env.REBIND_GENERATION + ' ' + m, from.port, from.address)); s.bind(Number(process.env.PORT), '127.0.0.1')`;
  await using hold = await start({
    command: [process.execPath, '-e', source],
    endpoints: (port) => [`udp/127.0.0.1:${port}`],
    overlap: false,
  });
  await hold.heard('ready');
  const client = createSocket('udp4');
  const ask = async (text: string): Promise<string> => {
    const answer = once(client, 'message', { signal: AbortSignal.timeout(5_000) });
    client.send(text, hold.port, '127.0.0.1');
    return String((await answer)[0]);
  };
  try {
    assert.equal(await ask('a'), '1 a');
    const restart = hold.held.restart();
    const waiting = ask('b');
    assert.equal((await restart).outcome, 'done');
    assert.match(await waiting, /^[12] b$/);
    assert.equal(await ask('c'), '2 c');
  } finally {
    client.close();
  }
});

for (const [what, source] of [
  ['a Unix socket is held over restarts, and its file is removed at the end', ''],
  [
    'a Unix socket whose file the program removes, before it listens and when it exits, is held over restarts',
    `const { rmSync } = require('fs'); const remove = () => rmSync(process.env.SOCKET_PATH, { force: true }); remove(); process.on('exit', remove).on('SIGTERM', () => process.exit());`,
  ],
] as const) {
  test(what, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'rebind-unix-'));
    const path = join(directory, 'app.sock');
    const ask = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const call = request({ socketPath: path, path: '/', agent: false }, (response) => {
          response.setEncoding('utf8').on('data', resolve);
        });
        call.on('error', reject).end();
      });
    /** For a moment after it was removed the file is not there. */
    const askPatiently = async (): Promise<string> => {
      for (let left = 100; ; left--) {
        try {
          return await ask();
        } catch (error) {
          if (left === 0 || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
          await sleep(50);
        }
      }
    };
    try {
      const hold = await start({
        command: [process.execPath, '-e', `${source} require(${JSON.stringify(fixture('server.cjs'))});`],
        endpoints: () => [path],
        env: { SOCKET_PATH: path },
      });
      await hold.heard('ready');
      const { ino } = statSync(path);
      assert.match(await ask(), /^1 /);
      for (const generation of [2, 3]) {
        assert.equal((await hold.held.restart()).outcome, 'done');
        await hold.heard('retired', generation - 1);
        assert.match(await askPatiently(), new RegExp(`^${generation} `));
      }
      assert.equal(statSync(path).ino, ino);
      await hold[Symbol.asyncDispose]();
      assert.deepEqual(readdirSync(directory), []);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}
