/** What a look does to the one who is looked at, and what a busy machine does to the look. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openConnectStage } from '../../src/stage/connect/open.ts';
import { insideNamespace, raiseLoopback } from '../../src/stage/namespace.ts';
import { findProgram, missing } from '../../src/stage/needs.ts';
import type { Place } from '../../src/stage/stage.ts';
import { runInside } from '../inside.ts';
import { reach } from './answers.ts';

const library = new URL('../../src/index.js', import.meta.url).href;
const limits = { timeout: 60_000 };
await runInside(import.meta.url, runHere);

function runHere(): void {
  if (insideNamespace()) raiseLoopback();
  test('a firewall is told from a listener while thousands of foreign packets are counted', limits, async (t) => {
    const reason = missing(['network']);
    if (reason !== null) return t.skip(reason);
    await using stage = openConnectStage();
    const host = await stage.host();
    const noisy = stage.freePort();
    const { port } = await host.nodeServer({ port: 0, host: '127.0.0.1' });
    await host.nodeProgram(`const { connect, createServer } = require('node:net');
const again = () => {
  const socket = connect(${noisy}, '127.0.0.1', () => socket.end('x'));
  socket.on('error', () => {}).on('close', () => setImmediate(again)).resume();
};
createServer((socket) => socket.on('error', () => {}).resume().end('y')).listen(${noisy}, '127.0.0.1', () => {
  for (let i = 0; i < 8; i++) again();
  require('node:fs').writeSync(1, 'listening on port ${noisy}\\n');
});`);
    const packets = async (): Promise<number> => {
      const lines = (await host.run(['cat', '/proc/net/snmp'])).split('\n').filter((line) => line.startsWith('Ip: '));
      const [names = [], values = []] = lines.map((line) => line.split(' '));
      return Number(values[names.indexOf('OutRequests')]);
    };
    const staged = stage.reached({ words: [`127.0.0.1:${port}`], description: 'noise', from: host.enter });
    const situations = [
      [null, null],
      ['output', 'own-firewall-drops-output'],
      ['input', 'own-firewall-drops-input'],
      [null, null],
    ] as const;
    for (const [hook, cause] of situations) {
      await host.shell('nft flush ruleset');
      if (hook !== null)
        await host.nft(
          `table inet stage { chain filter { type filter hook ${hook} priority 0; tcp dport ${port} drop; }; }`,
        );
      const before = await packets();
      const { json, text } = await reach(staged);
      const noise = (await packets()) - before;
      assert.equal(json.verdict?.cause ?? null, cause, `with ${noise} foreign packets: ${text}`);
      assert.equal(json.reachable, cause === null);
      if (cause !== null) assert.ok(noise > 1_000, `only ${noise} packets were sent meanwhile`);
    }
  });

  test(
    'a server for one client is over after a look, and still there after one without a connection',
    limits,
    async (t) => {
      const busybox = findProgram('busybox');
      if (busybox === null) return t.skip('busybox is not installed');
      await using stage = openConnectStage();
      for (const flags of [['--no-connect'], []]) {
        const port = stage.freePort();
        const server: ChildProcess = spawn(busybox, ['nc', '-l', '-p', `${port}`], {
          stdio: ['pipe', 'ignore', 'ignore'],
        });
        const ended = once(server, 'exit');
        stage.defer(async () => {
          if (server.exitCode === null && server.signalCode === null) server.kill('SIGKILL');
          await ended;
        });
        await stage.settled(port, (states) => states.includes('LISTEN'));
        const { json } = await reach(stage.reached({ words: [`127.0.0.1:${port}`, ...flags], description: 'nc -l' }));
        if (flags.length === 0) {
          assert.equal(json.reachable, true);
          await ended;
        } else {
          assert.equal(json.reachable, null);
          assert.deepEqual(
            json.listeners.flatMap(({ holders }) => holders.map(({ pid }) => pid)),
            [server.pid],
          );
          assert.equal(server.exitCode, null);
          await stage.settled(port, (states) => states.join() === 'LISTEN');
        }
      }
    },
  );

  test('no connection is made into a full queue', limits, async (t) => {
    const reason = missing(['network']);
    if (reason !== null) return t.skip(reason);
    await using stage = openConnectStage();
    const host = await stage.host();
    const port = stage.freePort();
    const listener = await (await host.actor('server')).open();
    await listener.bind('127.0.0.1', port);
    await listener.listen(1);
    const clients = await host.actor('clients');
    for (const _ of [1, 2]) await (await clients.open()).connect('127.0.0.1', port);
    const before = await openedIn(host);
    const { json } = await reach(
      stage.reached({ words: [`127.0.0.1:${port}`], description: 'full', from: host.enter }),
    );
    assert.equal(json.verdict?.cause, 'queue-full');
    assert.equal(await openedIn(host), before);
  });

  test(
    'one connection is made and closed at once, so that a server for one client at a time goes on',
    limits,
    async (t) => {
      const reason = missing(['network']);
      if (reason !== null) return t.skip(reason);
      await using stage = openConnectStage();
      const host = await stage.host();
      const { port } = await host.nodeProgram(`let last = Promise.resolve();
require('node:net').createServer((socket) => {
  socket.on('error', () => {});
  const gone = new Promise((resolve) => socket.on('close', resolve));
  last = last.then(() => {
    socket.on('data', () => socket.end('served')).resume();
    return gone;
  });
}).listen(0, '127.0.0.1', function () {
  require('node:fs').writeSync(1, 'listening on port ' + this.address().port + '\\n');
});`);
      const before = await openedIn(host);
      const { json } = await reach(
        stage.reached({ words: [`127.0.0.1:${port}`], description: 'one', from: host.enter }),
      );
      assert.equal(json.reachable, true);
      assert.equal((await openedIn(host)) - before, 1);
      const client = `const socket = require('node:net').connect(${port}, '127.0.0.1', () => socket.write('x'));
socket.on('data', (data) => console.log(String(data)));`;
      assert.equal(await host.run([process.execPath, '-e', client]), 'served\n');
    },
  );

  test('a program that has no descriptor left is told so', limits, async () => {
    await using stage = openConnectStage();
    const { port } = await stage.nodeServer({ port: 0, host: '127.0.0.1' });
    const program = `import { openSync } from 'node:fs';
import { reach } from ${JSON.stringify(library)};
const first = await reach('127.0.0.1:${port}');
for (;;) {
  try {
    openSync('/dev/null');
  } catch (error) {
    if (error.code !== 'EMFILE') throw error;
    break;
  }
}
const second = await reach('127.0.0.1:${port}');
process.stdout.write(JSON.stringify([first.reachable, second.reachable, second.errno, second.verdict?.cause, second.verdict?.sentence]));`;
    const file = stage.file('program.mjs', program);
    const { stdout, stderr, status } = spawnSync('prlimit', ['--nofile=400:400', process.execPath, file], {
      encoding: 'utf8',
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
    assert.equal(status, 0, stderr);
    const [before, reachable, errno, cause, sentence] = JSON.parse(stdout) as unknown[];
    assert.deepEqual([before, reachable, errno, cause], [true, false, 'EMFILE', 'client-descriptors'], stdout);
    assert.match(String(sentence), /^This process has no file descriptor left for a connection to 127\.0\.0\.1:\d+/);
  });

  test('a connection that waits is not left behind', limits, async () => {
    await using stage = openConnectStage();
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open();
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    await reach(stage.reached({ words: [`127.0.0.1:${port}`], description: 'never accepts' }));
    // What the look has left in the queue is closed: the server reads its end.
    const accepted = await listener.accept();
    await stage.settled(port, (states) => !states.includes('ESTABLISHED'));
    await accepted.close();
    await setTimeout(0);
    const client = connect(port, '127.0.0.1');
    await once(client, 'connect');
    client.destroy();
  });
}

/** Connections that were begun in the host's namespace so far. */
async function openedIn(host: Place): Promise<number> {
  const lines = (await host.run(['cat', '/proc/net/snmp'])).split('\n').filter((line) => line.startsWith('Tcp: '));
  const [names = [], values = []] = lines.map((line) => line.split(' '));
  return Number(values[names.indexOf('ActiveOpens')]);
}
