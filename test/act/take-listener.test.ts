/** Taking the socket of a program that runs: only the one that was asked for, only from whom it may be taken, and with its file. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, existsSync, lstatSync, openSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { endAll } from '../../src/act/end.ts';
import { keepFile } from '../../src/act/keep-file.ts';
import { type TakenListener, takeListener } from '../../src/act/take-listener.ts';
import { isBlockedPortError } from '../../src/errors.ts';
import { whyNotListener } from '../../src/hold/wire/listen-fds.ts';
import { type Endpoint, nodeTcpOptions } from '../../src/model/endpoint.ts';
import { os } from '../../src/os/index.ts';
import { openWorld, type World } from '../free/world.ts';
import { freePort } from '../hold/harness.ts';

let world: World;
beforeEach(() => {
  world = openWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

const tcp = (address: string, port: number): Endpoint => ({ protocol: 'tcp', address, port });

function take(endpoint: Endpoint, exact: boolean, held: readonly number[] = []): TakenListener | null {
  return takeListener(os(), { endpoint, options: nodeTcpOptions }, exact, new Set(held));
}

/** Why nothing was taken. */
function refusal(endpoint: Endpoint, exact: boolean, held: readonly number[] = []): string {
  try {
    const taken = take(endpoint, exact, held);
    if (taken !== null) os().sockets.close(taken.fd);
  } catch (error) {
    assert.ok(isBlockedPortError(error), String(error));
    return (error.cause as Error).message;
  }
  return 'taken';
}

/** A server on ports that somebody chose, as `host:port`. */
async function serve(...places: readonly string[]): Promise<number> {
  const code = `const net = require('net'); let left = ${places.length}; for (const place of ${JSON.stringify(places)}) {
    const [host, port] = place.split(':'); net.createServer().listen(Number(port), host, () => --left || console.log('ready')) }`;
  return (await world.run([process.execPath, '-e', code], /^ready/m)).pid;
}

describe('the listener that is taken', () => {
  test('is the one of the very address; one of another address is never a substitute', async () => {
    const port = await freePort();
    const pid = await serve(`127.0.0.1:${port}`);
    const taken = take(tcp('127.0.0.1', port), true);
    assert.ok(taken !== null);
    assert.deepEqual(
      taken.former.map((holder) => holder.pid),
      [pid],
    );
    assert.deepEqual(os().sockets.address(taken.fd), tcp('127.0.0.1', port));
    os().sockets.close(taken.fd);
    // Free: nothing is in the way of it.
    assert.equal(take(tcp('::1', port), true), null);
    assert.match(refusal(tcp('0.0.0.0', port), true), /listens on 127\.0\.0\.1:\d+, not there$/);
    // A port without an address means the program that is in the way, wherever it listens.
    assert.equal(refusal(tcp('0.0.0.0', port), false), 'taken');
  });

  test('is not taken from this process, nor from one that this process runs in', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    assert.match(refusal(tcp('127.0.0.1', port), true), /it is this very process$/);
    const code = `import { takeListener } from '${new URL('../../src/act/take-listener.js', import.meta.url).href}'; import { os } from '${new URL('../../src/os/index.js', import.meta.url).href}';
      try { takeListener(os(), { endpoint: { protocol: 'tcp', address: '127.0.0.1', port: ${port} }, options: ${JSON.stringify(nodeTcpOptions)} }, true, new Set()); console.log('ready taken') } catch (error) { console.log('ready ' + error.cause.message) }`;
    const child = await world.run([process.execPath, '--input-type=module', '-e', code], /^ready/m);
    assert.match(child.printed(), /because this command runs inside it/);
  });

  for (const [starter, outcome] of [
    ['jest', 'another worker of the test run'],
    ['start', 'taken'],
  ] as const)
    test(`of another program that the same ${starter} started: ${outcome}`, async () => {
      const port = await freePort();
      const serve = `require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('up'))`;
      const taking = `import { takeListener } from '${new URL('../../src/act/take-listener.js', import.meta.url).href}'; import { os } from '${new URL('../../src/os/index.js', import.meta.url).href}';
        try { takeListener(os(), { endpoint: { protocol: 'tcp', address: '127.0.0.1', port: ${port} }, options: ${JSON.stringify(nodeTcpOptions)} }, true, new Set()); console.log('ready taken') } catch (error) { console.log('ready ' + error.cause.message) }`;
      const file = join(world.directory, `${starter}.js`);
      writeFileSync(
        file,
        `const { spawn } = require('child_process'); const server = spawn(process.execPath, ['-e', ${JSON.stringify(serve)}]);
        server.stdout.once('data', () => { const taking = spawn(process.execPath, ['--input-type=module', '-e', ${JSON.stringify(taking)}], { stdio: 'inherit' });
        taking.on('exit', () => server.kill()) })`,
      );
      const { printed } = await world.run([process.execPath, file], /^ready .*\n/m);
      assert.match(printed(), new RegExp(outcome));
    });

  test('is not taken when another port would end with it, unless that one is taken, too', async () => {
    const [one, other] = [await freePort(), await freePort()];
    await serve(`127.0.0.1:${one}`, `127.0.0.1:${other}`, `127.0.0.2:${one}`);
    assert.match(
      refusal(tcp('127.0.0.1', one), true),
      new RegExp(`it also listens on 127\\.0\\.0\\.1:${other}; --yes confirms it$`),
    );
    // The same port on another address is no other port.
    assert.equal(refusal(tcp('127.0.0.1', one), true, [other]), 'taken');
    const { fd } =
      takeListener(os(), { endpoint: tcp('127.0.0.1', one), options: nodeTcpOptions }, true, new Set(), true) ?? {};
    assert(fd !== undefined);
    os().sockets.close(fd);
  });

  test('a program that only has the socket open is left alone', async () => {
    const code = `const s = require('net').createServer().listen(0, '127.0.0.1', () => {
      const heir = require('child_process').spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', s._handle.fd] });
      heir.on('spawn', () => console.log('ready ' + s.address().port + ' ' + heir.pid)); process.on('exit', () => heir.kill()); process.on('SIGTERM', () => process.exit()) })`;
    const server = await world.run([process.execPath, '-e', code], /^ready/m);
    const [, port, heir] = /^ready (\d+) (\d+)/m.exec(server.printed()) ?? [];
    const taken = take(tcp('127.0.0.1', Number(port)), true);
    assert.ok(taken !== null);
    os().sockets.close(taken.fd);
    assert.deepEqual(
      taken.former.map(({ pid }) => pid),
      [server.pid],
    );
    if (process.getuid?.() === 0)
      assert.deepEqual(
        taken.left.map(({ pid }) => pid),
        [Number(heir)],
      );
  });
});

describe('the file of a Unix socket whose former server removes it', () => {
  const remove: [string, string][] = [
    ['when it closes', 'server.close()'],
    ['and goes on to drain', "require('fs').unlinkSync(path); setInterval(() => {}, 1e3)"],
    [
      'twice',
      "require('fs').unlinkSync(path); setTimeout(() => { try { require('fs').unlinkSync(path) } catch {} process.exit() }, 100)",
    ],
  ];
  for (const [how, code] of remove)
    test(`is there again when it is removed ${how}, and leads to the socket that was taken`, async () => {
      const path = join(world.directory, 'app.sock');
      await world.node(
        `const path = ${JSON.stringify(path)}; const server = require('net').createServer().listen(path, () => console.log('ready')); process.on('SIGTERM', () => { ${code} })`,
      );
      const { ino } = lstatSync(path);
      const taken = take({ protocol: 'unix', path }, true);
      assert.ok(taken !== null);
      const kept = keepFile(os(), path);
      assert.ok(typeof kept !== 'string', String(kept));
      await endAll(os(), taken.former, 500);
      assert.equal(kept.end(), true);
      assert.equal(lstatSync(path).ino, ino);
      assert.deepEqual(readdirSync(world.directory), ['app.sock']);
      const client = connect(path);
      await once(client, 'connect');
      client.destroy();
      os().sockets.close(taken.fd);
    });

  test('what somebody else put there stays, and a directory that is gone is told', async () => {
    const path = join(world.directory, 'app.sock');
    const server = createServer().listen(path);
    await once(server, 'listening');
    const kept = keepFile(os(), path);
    assert.ok(typeof kept !== 'string');
    unlinkSync(path);
    writeFileSync(path, 'mine');
    assert.equal(kept.end(), true);
    const again = keepFile(os(), path);
    assert.ok(typeof again !== 'string');
    assert.ok(lstatSync(path).isFile());
    rmSync(world.directory, { recursive: true });
    assert.equal(again.end(), false);
    assert.equal(keepFile(os(), path), 'ENOENT');
    server.close();
    assert.ok(!existsSync(path));
  });
});

describe('descriptors that a service manager passes', () => {
  test('a listener or a bound UDP socket is held, and nothing else', () => {
    const { sockets } = os();
    const open: number[] = [];
    const make = (kind: 'tcp' | 'udp' | 'unix' | 'unix-datagram'): number => {
      const fd = sockets.open(kind, 4);
      open.push(fd);
      return fd;
    };
    try {
      const listening = make('tcp');
      sockets.bind(listening, tcp('127.0.0.1', 0) as never);
      assert.match(whyNotListener(os(), listening) ?? '', /does not listen/);
      sockets.listen(listening, 1);
      assert.equal(whyNotListener(os(), listening), null);
      const bound = make('udp');
      assert.match(whyNotListener(os(), bound) ?? '', /not bound/);
      sockets.bind(bound, { protocol: 'udp', address: '127.0.0.1', port: 0 });
      assert.equal(whyNotListener(os(), bound), null);
      const connected = make('tcp');
      sockets.connect(connected, sockets.address(listening));
      assert.match(whyNotListener(os(), connected) ?? '', /does not listen/);
      assert.match(whyNotListener(os(), make('tcp')) ?? '', /does not listen/);
      assert.match(whyNotListener(os(), make('unix')) ?? '', /does not listen/);
      assert.match(whyNotListener(os(), make('unix-datagram')) ?? '', /another kind/);
      for (const fd of [openSync('/dev/null', 'r'), openSync('/', 'r')]) {
        assert.match(whyNotListener(os(), fd) ?? '', /not a socket/);
        closeSync(fd);
        assert.match(whyNotListener(os(), fd) ?? '', /not a socket/);
      }
    } finally {
      for (const fd of open) sockets.close(fd);
    }
  });
});
