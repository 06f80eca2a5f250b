import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { namespaceCommand, namespaceEnvironment } from '../../src/stage/namespace.ts';
import { missing } from '../../src/stage/needs.ts';
import { openStage } from '../../src/stage/open.ts';
import { tcpStates } from '../../src/stage/ports.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { wait } from '../../src/wait/wait.ts';
import { finished, isRoot, openWorld, rebind, startRebind, type World } from '../free/world.ts';
import { openDescriptors } from '../os/linux/open-descriptors.ts';

let world: World;
let stage: Stage;
beforeEach(() => {
  world = openWorld();
  stage = openStage();
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

const listen = (port: number, host = '127.0.0.1'): string =>
  `const server = require('net').createServer().listen(${port}, '${host}', () => console.log('ready'));`;

async function listening(port: number, host = '127.0.0.1'): Promise<Server> {
  const server = createServer().listen({ port, host, exclusive: true });
  await once(server, 'listening');
  return server;
}

describe('wait for a free port', () => {
  test('a port that is free already', async () => {
    const { status, json } = await rebind(['wait', String(stage.freePort())]);
    assert.equal(status, 0);
    assert.equal(json.done, true);
    assert.equal(json.for, 'free');
    assert.equal(json.failure, null);
  });

  test('ends when the listener closes, while its process lives on', async () => {
    const port = stage.freePort();
    const server = await listening(port);
    const waiting = wait(`127.0.0.1:${port}`, {
      timeoutMs: 10_000,
      onProgress: () => setTimeout(() => server.close(), 50),
    });
    const report = await waiting;
    assert.equal(report.done, true);
    assert.ok(report.elapsedMs < 5_000);
  });

  test('ends when the holder is killed', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port));
    const report = await wait(`127.0.0.1:${port}`, {
      timeoutMs: 10_000,
      onProgress: ({ verdict }) => {
        assert.notEqual(verdict?.cause, 'unexplained');
        server.child.kill('SIGKILL');
      },
    });
    assert.equal(report.done, true);
    assert.ok(report.elapsedMs < 5_000);
  });

  test('ends only when the last of several holders is gone', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open({ reuseAddress: true });
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    const child = await actor.spawn('worker', [listener]);
    const waiting = wait(`127.0.0.1:${port}`, { timeoutMs: 20_000 });
    await actor.kill();
    const early = await Promise.race([
      waiting.then(() => 'ended'),
      wait(stage.freePort(), { for: 'open', timeoutMs: 500 }),
    ]);
    assert.notEqual(early, 'ended');
    process.kill(child.pid, 'SIGKILL');
    assert.equal((await waiting).done, true);
  });

  test('what does not end by itself is said at once, not waited for in silence', async () => {
    const { status, stderr } = await rebind(['wait', '[fe80::1]:3000', '--timeout', '100ms'], { text: true });
    assert.equal(status, 1);
    assert.match(stderr, /^rebind: This does not change by itself: .*fe80::1/);
    // The address of a VPN or of a card comes later.
    const later = await rebind(['wait', '192.0.2.1:3000', '--timeout', '100ms'], { text: true });
    assert.deepEqual([later.status, later.stderr], [1, '']);
    const port = stage.freePort();
    await world.node(listen(port));
    const blocked = await rebind(['wait', `127.0.0.1:${port}`, '--timeout', '100ms'], { text: true });
    assert.equal(blocked.stderr, '');
  });

  test('gives up in time, says why, and exits with 1', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port));
    const { status, json } = await rebind(['wait', `127.0.0.1:${port}`, '--timeout', '300ms']);
    assert.equal(status, 1);
    assert.equal(json.failure, 'timeout');
    assert.equal(json.verdict.cause, 'other-listener');
    assert.ok(json.elapsedMs >= 300 && json.elapsedMs < 3_000, `${json.elapsedMs} ms`);
    assert.ok(server.isAlive());
  });

  test('a UDP port', async () => {
    const port = stage.freePort();
    const server = await world.node(
      `require('dgram').createSocket('udp4').bind(${port}, '127.0.0.1', () => console.log('ready'))`,
    );
    const report = await wait(`udp/127.0.0.1:${port}`, { timeoutMs: 10_000, onProgress: () => server.child.kill() });
    assert.equal(report.done, true);
  });

  test('a Unix socket whose server unlinks it', async () => {
    const path = join(world.directory, 'app.sock');
    const server = await world.node(
      `const server = require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready')); process.on('SIGTERM', () => server.close())`,
    );
    const report = await wait({ path }, { timeoutMs: 10_000, onProgress: () => server.child.kill() });
    assert.equal(report.done, true);
  });

  test('a Unix socket whose server goes on without it, at once', async () => {
    const path = join(world.directory, 'app.sock');
    const server = createServer().listen(path);
    await once(server, 'listening');
    let closedAtMs = 0;
    const waiting = wait(
      { path },
      {
        timeoutMs: 10_000,
        onProgress: () => {
          setTimeout(() => {
            server.close();
            closedAtMs = performance.now();
          }, 100);
        },
      },
    );
    assert.equal((await waiting).done, true);
    assert.ok(performance.now() - closedAtMs < 200, `${performance.now() - closedAtMs} ms late`);
  });

  test('a stale file of a Unix socket that somebody removes, at once', async () => {
    const path = join(world.directory, 'app.sock');
    const server = await world.node(
      `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready'))`,
    );
    server.child.kill('SIGKILL');
    await server.closed();
    let removedAtMs = 0;
    const waiting = wait(
      { path },
      {
        timeoutMs: 10_000,
        onProgress: () => {
          setTimeout(() => {
            unlinkSync(path);
            removedAtMs = performance.now();
          }, 100);
        },
      },
    );
    assert.equal((await waiting).done, true);
    assert.ok(performance.now() - removedAtMs < 200, `${performance.now() - removedAtMs} ms late`);
  });

  test('a Unix socket in a directory that is not there can only be compared', async () => {
    const report = await wait({ path: join(world.directory, 'no/app.sock') }, { timeoutMs: 50 });
    assert.equal(report.done, false);
  });

  test('the end of TIME_WAIT is known beforehand, and is when the wait ends', { timeout: 120_000 }, async () => {
    const port = await timeWait();
    let expiresInMs: number | null = null;
    const report = await wait(`127.0.0.1:${port}`, {
      timeoutMs: 90_000,
      onProgress: (progress) => {
        expiresInMs ??= progress.expiresInMs;
      },
    });
    assert.equal(report.done, true);
    assert.ok(expiresInMs !== null && expiresInMs > 50_000 && expiresInMs <= 61_000, `${expiresInMs}`);
    const late = report.elapsedMs - (expiresInMs as number);
    // The kernel's own timer may be four seconds late (kernel/time/timer.c).
    assert.ok(late > -1_000 && late < 5_000, `${late} ms late`);
    assert.ok(!tcpStates(port).includes('TIME_WAIT'));
  });

  test('a leftover that somebody removes is noticed, though the kernel tells nobody', {
    skip: isRoot ? false : 'removing it needs CAP_NET_ADMIN: runs as root',
  }, async () => {
    const port = await timeWait();
    const waiting = wait(`127.0.0.1:${port}`, { timeoutMs: 20_000 });
    await rebind(['free', `127.0.0.1:${port}`]);
    const report = await waiting;
    assert.equal(report.done, true);
    assert.ok(report.elapsedMs < 10_000);
  });

  test('a server that closes many connections wakes it often and does not end it', async () => {
    const port = stage.freePort();
    const server = await world.node(`${listen(port)} server.on('connection', (s) => s.end());`);
    const visitor = await world.node(
      `const go = () => require('net').connect(${port}, '127.0.0.1').on('close', () => setTimeout(go, 1)).resume(); go(); go(); console.log('ready')`,
    );
    const report = await wait(`127.0.0.1:${port}`, { timeoutMs: 1_500 });
    assert.equal(report.failure, 'timeout');
    assert.ok(server.isAlive() && visitor.isAlive());
  });

  test('an abort rejects with its reason, and nothing stays open', async () => {
    const port = stage.freePort();
    await world.node(listen(port));
    await wait(`127.0.0.1:${port}`, { timeoutMs: 10 });
    const before = openDescriptors();
    const reason = new Error('enough');
    const controller = new AbortController();
    const waiting = wait(`127.0.0.1:${port}`, {
      signal: controller.signal,
      onProgress: () => setImmediate(() => controller.abort(reason)),
    });
    await assert.rejects(waiting, reason);
    await assert.rejects(wait(port, { signal: AbortSignal.abort(reason) }), reason);
    assert.deepEqual(openDescriptors(), before);
  });

  test('Ctrl-C tells how it is, and ends the command as an interrupted program', async () => {
    const port = stage.freePort();
    await world.node(listen(port));
    for (const mode of ['free', 'open']) {
      const where = mode === 'free' ? port : stage.freePort();
      const child = startRebind(['wait', `127.0.0.1:${where}`, '--for', mode]);
      const running = finished(child);
      await interrupt(child);
      const { signal, json } = await running;
      assert.equal(signal, 'SIGINT');
      assert.equal(json.error.kind, 'interrupted');
      assert.equal(json.done, false);
      if (mode === 'free') assert.equal(json.verdict.cause, 'other-listener');
    }
    const child = startRebind(['wait', `127.0.0.1:${port}`], { text: true });
    const running = finished(child, true);
    await interrupt(child);
    assert.match((await running).stdout, /^Interrupted after [\d.]+ s: [\s\S]*\s127\.0\.0\.1:\d+/);
  });
});

describe('wait for an open port', () => {
  for (const [asked, host] of [
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', '0.0.0.0'],
    ['127.0.0.1', '::'],
    ['', '127.0.0.1'],
    ['[::1]', '::'],
  ] as const) {
    test(`${asked || 'a bare port'} is open when a server listens on ${host}`, {
      skip: missing(host === '::' ? ['ipv6'] : []) ?? false,
    }, async () => {
      const port = stage.freePort();
      const waiting = wait(`${asked}:${port}`, { for: 'open', timeoutMs: 10_000 });
      const server = await world.node(listen(port, host));
      const report = await waiting;
      assert.equal(report.done, true);
      assert.deepEqual(
        report.listeners.map(({ pid }) => pid),
        [server.pid],
      );
      assert.deepEqual(report.addresses, [{ address: host, port }]);
    });
  }

  test('the answer names the address of the listener, not the one that was asked about', async () => {
    const port = stage.freePort();
    const server = await world.node(listen(port, '127.0.0.1'));
    const { stdout } = await rebind(['wait', String(port), '--for', 'open', '--timeout', '10s'], { text: true });
    const text = stdout.replaceAll(/\s+/g, ' ');
    assert.match(text, new RegExp(`is open: .* \\(pid ${server.pid}\\) listens on 127\\.0\\.0\\.1:${port} \\(`));
  });

  test('another address, UDP, and a socket that is only bound are not it', async () => {
    const port = stage.freePort();
    await world.node(listen(port, '127.0.0.2'));
    await world.node(`require('dgram').createSocket('udp4').bind(${port}, '127.0.0.1', () => console.log('ready'))`);
    const actor = await stage.actor('binder');
    await (await actor.open()).bind('127.0.0.1', port);
    const report = await wait(`127.0.0.1:${port}`, { for: 'open', timeoutMs: 300 });
    assert.equal(report.failure, 'timeout');
    // The one that a user would call his server hangs before it listens.
    assert.equal(report.verdict?.cause, 'bound-not-listening');
    assert.match(report.verdict.sentence, new RegExp(`\\(pid ${actor.pid}\\)`));
  });

  test('nothing that listens is found where only a client could connect to itself', async () => {
    // The range of automatic ports is as small as it can be, which makes a prober that connects answer itself.
    const prefix = namespaceCommand();
    if (prefix === null) return;
    const at = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);
    const program = `
      import { raiseLoopback } from ${at('../../src/stage/namespace.js')};
      import { wait } from ${at('../../src/wait/wait.js')};
      import { readFileSync, unlinkSync, writeFileSync } from 'node:fs';
      raiseLoopback();
      writeFileSync('/proc/sys/net/ipv4/ip_local_port_range', '34000 34003');
      const report = await wait('127.0.0.1:34000', { for: 'open', timeoutMs: 1500 });
      console.log(JSON.stringify(report));`;
    const running = await world.run([...prefix, process.execPath, '--input-type=module', '-e', program], /\}\n/, {
      env: namespaceEnvironment() as Record<string, string>,
    });
    assert.equal(JSON.parse(running.printed()).failure, 'timeout');
  });

  test('with a pid a stale server does not pass for the new one', async () => {
    const port = stage.freePort();
    const stale = await world.node(listen(port));
    const fresh = await world.node("console.log('ready'); setInterval(() => {}, 1e6)");
    const { status, json } = await rebind([
      'wait',
      String(port),
      '--for',
      'open',
      '--pid',
      String(fresh.pid),
      '--timeout',
      '400ms',
    ]);
    assert.equal(status, 1);
    assert.equal(json.failure, 'other-process');
    assert.deepEqual(
      json.listeners.map(({ pid }: { pid: number }) => pid),
      [stale.pid],
    );
    const right = await rebind(['wait', String(port), '--for', 'open', '--pid', String(stale.pid), '--timeout', '5s']);
    assert.equal(right.status, 0);
  });

  test('a child of the process counts', async () => {
    const port = stage.freePort();
    const parent = await world.run(['sh', '-c', `"${process.execPath}" -e "${listen(port)}"; true`], /^ready/m);
    const report = await wait(port, { for: 'open', pid: parent.pid, timeoutMs: 5_000 });
    assert.equal(report.done, true);
    for (const { pid } of report.listeners) process.kill(pid, 'SIGKILL');
  });

  test('a process that ends without listening ends the wait at once', async () => {
    const port = stage.freePort();
    const server = await world.node("console.log('ready'); setTimeout(() => process.exit(1), 300)");
    const report = await wait(port, { for: 'open', pid: server.pid, timeoutMs: 20_000 });
    assert.equal(report.failure, 'process-ended');
    assert.ok(report.elapsedMs < 5_000);
    assert.equal((await wait(port, { for: 'open', pid: server.pid })).failure, 'process-ended');
  });

  test('a Unix socket', async () => {
    const path = join(world.directory, 'app.sock');
    const waiting = wait({ path }, { for: 'open', timeoutMs: 10_000 });
    await world.node(`require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('ready'))`);
    assert.equal((await waiting).done, true);
  });

  test('the file of a socket that nobody listens on is not open', async () => {
    const path = join(world.directory, 'stale.sock');
    writeFileSync(path, '');
    assert.equal((await wait({ path }, { for: 'open', timeoutMs: 100 })).failure, 'timeout');
  });
});

describe('what wait refuses', () => {
  for (const [args, message] of [
    [['3000', '--for', 'ever'], /free or open|--for/],
    [['3000', '--pid', '1'], /--for open/],
    [['3000', '--for', 'open', '--pid', 'abc'], /number of a process/],
    [['3000', '--timeout', 'soon'], /length of time/],
    [['99999'], /1 to 65535/],
  ] as const) {
    test(args.join(' '), async () => {
      const { status, stderr } = await rebind(['wait', ...args]);
      assert.equal(status, 2);
      assert.match(stderr, message);
    });
  }

  test('wrong options of the library', async () => {
    await assert.rejects(wait(3000, { for: 'ever' as 'free' }), RangeError);
    await assert.rejects(wait(3000, { pid: 1 }), RangeError);
    await assert.rejects(wait(3000, { timeoutMs: -1 }), RangeError);
    await assert.rejects(wait(3000, { timeoutMs: Number.NaN }), RangeError);
  });
});

/** Ctrl-C as soon as the command would hear it. It listens for SIGHUP last, which Node does not by itself. */
async function interrupt(child: ChildProcess): Promise<void> {
  const caught = (): bigint =>
    BigInt(`0x${/^SigCgt:\s*(\w+)/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? '0'}`);
  while ((caught() & 1n) === 0n) await pause(10);
  child.kill('SIGINT');
}

async function timeWait(): Promise<number> {
  const port = stage.freePort();
  const actor = await stage.actor('past');
  const listener = await actor.open();
  await listener.bind('127.0.0.1', port);
  await listener.listen();
  const from = await actor.open();
  await from.connect('127.0.0.1', port);
  const accepted = await listener.accept();
  await accepted.close();
  await from.close();
  await listener.close();
  await stage.settled(port, (states) => states.length === 1 && states[0] === 'TIME_WAIT');
  assert.deepEqual(tcpStates(port), ['TIME_WAIT']);
  return port;
}
