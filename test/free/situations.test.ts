/**
 * The situations that other tools get wrong, each with the right outcome, exit status and document,
 * and with bystanders that must not be touched.
 */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { missing } from '../../src/stage/needs.ts';
import { openStage } from '../../src/stage/open.ts';
import { tcpStates } from '../../src/stage/ports.ts';
import type { Stage } from '../../src/stage/stage.ts';
import { isRoot, openWorld, outcomes, rebind, type World } from './world.ts';

const serve = (listen: object, more = ''): string =>
  `require('net').createServer((socket) => { socket.on('error', () => {}); ${more} }).listen(${JSON.stringify(listen)}, () => console.log('ready'))`;
const client = (port: number, host = '127.0.0.1'): string =>
  `const s = require('net').connect(${port}, '${host}', () => console.log('ready')); s.on('error', () => {}); s.on('close', () => setInterval(() => {}, 1e6))`;

let world: World;
let stage: Stage;
beforeEach(async () => {
  world = openWorld();
  stage = openStage();
  await world.bystander();
});
afterEach(async () => {
  world.assertBystanders();
  await world[Symbol.asyncDispose]();
  await stage[Symbol.asyncDispose]();
});

/** The caller's own bind, by Node. */
async function assertBindable(port: number, host?: string): Promise<void> {
  const server = createServer();
  server.listen({ port, host, exclusive: true });
  await once(server, 'listening');
  server.close();
  await once(server, 'close');
}

describe('free makes the port bindable', () => {
  for (const host of [undefined, '127.0.0.1', '::1', '0.0.0.0']) {
    test(`a plain listener on ${host ?? 'every address'} is asked to stop`, {
      skip: host?.includes(':') === false ? false : (missing(['ipv6']) ?? false),
    }, async () => {
      const port = stage.freePort();
      const server = await world.node(serve({ port, host }));
      const { status, json } = await rebind(['free', String(port)]);
      assert.equal(status, 0);
      assert.equal(json.schema, 1);
      assert.equal(json.bindable, true);
      assert.equal(json.error, null);
      assert.deepEqual(outcomes(json), ['stop-process done']);
      assert.deepEqual(json.steps[0].target, {
        kind: 'process',
        pid: server.pid,
        command: 'node',
        user: json.steps[0].target.user,
      });
      assert.equal(await server.ended(), 'SIGTERM');
      await assertBindable(port);
    });
  }

  test('a client of the server lives on', async () => {
    const port = stage.freePort();
    const server = await world.node(serve({ port }));
    const browser = await world.node(client(port));
    const { status } = await rebind(['free', String(port)]);
    assert.equal(status, 0);
    assert.equal(await server.ended(), 'SIGTERM');
    assert.ok(browser.isAlive());
    await assertBindable(port);
  });

  test('a server without SO_REUSEADDR that has a client leaves nothing that blocks, as any user', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open();
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    const browser = await world.node(client(port));
    await listener.accept();
    const { status, json } = await rebind(['free', String(port), '--yes']);
    assert.equal(status, 0, JSON.stringify(json, null, 2));
    assert.deepEqual(outcomes(json), ['set-option done', 'stop-process done']);
    assert.ok(browser.isAlive());
    // It left something, and that does not block.
    assert.notDeepEqual(
      tcpStates(port).filter((state) => state !== 'CLOSE_WAIT'),
      [],
    );
    await assertBindable(port, '127.0.0.1');
  });

  test('a child that inherited the socket is asked when its parent is gone', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open({ reuseAddress: true });
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    const child = await actor.spawn('worker', [listener]);
    await actor.kill();
    const { status, json } = await rebind(['free', String(port), '--yes']);
    assert.equal(status, 0);
    assert.equal(json.steps.at(-1).target.pid, child.pid);
    await assertBindable(port);
  });

  test('a parent and the child that inherited its socket are both asked', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open({ reuseAddress: true });
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    const child = await actor.spawn('worker', [listener]);
    const { status, json } = await rebind(['free', String(port), '--yes']);
    assert.equal(status, 0);
    const stopped = json.steps.filter((step: { remedy: string }) => step.remedy === 'stop-process');
    assert.deepEqual(
      stopped.map((step: { target: { pid: number } }) => step.target.pid).sort(),
      [actor.pid, child.pid].sort(),
    );
    await assertBindable(port);
  });

  test('TIME_WAIT without SO_REUSEADDR is removed, or waited for when the rights are missing and --timeout permits', async () => {
    const { port } = await timeWait(stage);
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`]);
    assert.equal(json.steps.length, 1);
    if (isRoot) {
      assert.equal(status, 0);
      assert.deepEqual(outcomes(json), ['remove-leftovers done']);
      await assertBindable(port, '127.0.0.1');
    } else {
      assert.equal(status, 1);
      assert.deepEqual(outcomes(json), ['wait refused']);
      assert.match(json.steps[0].sentence, /^Wait [\d.]+ s until the kernel removes/);
    }
  });

  test('a connection that somebody began from this port is not touched', async () => {
    const { port, remote, browser, server } = await outgoing();
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`]);
    assert.equal(status, 1);
    const [step, ...others] = sortedByPeer(json, remote);
    assert.equal(step.outcome, 'refused');
    assert.match(step.why, /client/);
    for (const other of others) assert.ok(!isOwned(other), JSON.stringify(other));
    assert.ok(browser.isAlive() && server.isAlive());
    assert.ok(tcpStates(port).includes('ESTABLISHED'));
  });

  test('with --force that one connection is cut, and its process lives on', {
    skip: isRoot ? false : 'cutting a connection needs CAP_NET_ADMIN: runs as root',
  }, async () => {
    const { port, remote, browser, server } = await outgoing();
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`, '--force']);
    assert.equal(status, 0, JSON.stringify(json));
    const [step, ...others] = sortedByPeer(json, remote);
    assert.deepEqual([step.remedy, step.outcome], ['remove-leftovers', 'done']);
    for (const other of others) assert.ok(!isOwned(other), JSON.stringify(other));
    assert.ok(browser.isAlive() && server.isAlive());
    await assertBindable(port, '127.0.0.1');
  });

  test('a socket that is bound and does not listen is found', async () => {
    const port = stage.freePort();
    const actor = await stage.actor('binder');
    await (await actor.open()).bind('127.0.0.1', port);
    const { status, json } = await rebind(['free', String(port), '--yes']);
    assert.equal(status, 0, JSON.stringify(json));
    assert.equal(json.steps.at(-1).target.pid, actor.pid);
    await assertBindable(port);
  });

  test('who ignores SIGTERM is still running after --grace, and is killed only with --force', async () => {
    const port = stage.freePort();
    const server = await world.node(`process.on('SIGTERM', () => {}); ${serve({ port })}`);
    const polite = await rebind(['free', String(port), '--grace', '200ms']);
    assert.equal(polite.status, 1);
    assert.deepEqual(outcomes(polite.json), ['stop-process failed']);
    assert.match(polite.json.steps[0].why, /still running after 0.2 s; --force kills it/);
    assert.ok(server.isAlive());
    const forced = await rebind(['free', String(port), '--grace', '200ms', '--force']);
    assert.equal(forced.status, 0);
    assert.equal(await server.ended(), 'SIGKILL');
    await assertBindable(port);
  });

  test('who needs a second to stop cleanly gets it', async () => {
    const port = stage.freePort();
    const proof = join(world.directory, 'clean');
    const server = await world.node(
      `process.on('SIGTERM', () => setTimeout(() => { require('fs').writeFileSync(${JSON.stringify(proof)}, ''); process.exit(0); }, 1200)); ${serve({ port })}`,
    );
    const { status, json } = await rebind(['free', String(port)]);
    assert.equal(status, 0);
    assert.ok(json.elapsedMs >= 1100);
    assert.ok(existsSync(proof));
    await server.ended();
    await assertBindable(port);
  });

  test('a server that lets go of its port first may finish what it has begun', async () => {
    const port = stage.freePort();
    const server = await world.node(
      `const server = ${serve({ port })}; process.on('SIGTERM', () => { server.close(); setTimeout(() => {}, 60_000); })`,
    );
    const { status, json } = await rebind(['free', String(port)]);
    assert.equal(status, 0);
    // Not the end of the grace that it was given, and not its own end.
    assert.ok(json.elapsedMs < 10_000, `${json.elapsedMs} ms`);
    assert.match(json.steps[0].why, /released the port and is still running/);
    assert.ok(server.isAlive());
    await assertBindable(port);
  });

  test('UDP: the holder is stopped, and a client that is connected to it is not', async () => {
    const port = stage.freePort();
    const server = await world.node(
      `require('dgram').createSocket('udp4').bind(${port}, '127.0.0.1', () => console.log('ready'))`,
    );
    const talker = await world.node(
      `const s = require('dgram').createSocket('udp4'); s.connect(${port}, '127.0.0.1', () => console.log('ready')); s.on('error', () => {})`,
    );
    const { status } = await rebind(['free', `udp/127.0.0.1:${port}`]);
    assert.equal(status, 0);
    assert.equal(await server.ended(), 'SIGTERM');
    assert.ok(talker.isAlive());
    const socket = createSocket('udp4').bind(port, '127.0.0.1');
    await once(socket, 'listening');
    socket.close();
  });

  test('nothing is done about a free port', async () => {
    const { status, json } = await rebind(['free', String(stage.freePort())]);
    assert.equal(status, 0);
    assert.equal(json.bindable, true);
    assert.deepEqual(json.steps, []);
  });

  test('leftovers that have SO_REUSEADDR do not block, so nothing is done about them', async () => {
    const { port, peer } = await timeWait(stage, true);
    const { status, json } = await rebind(['free', `127.0.0.1:${port}`]);
    assert.equal(status, 0);
    assert.deepEqual(json.steps, []);
    assert.deepEqual(tcpStates(port, peer), ['TIME_WAIT']);
  });

  for (const wrong of ['99999', '0', 'abc', '3000-', '', '-1', '3000 ']) {
    test(`${JSON.stringify(wrong)} is refused as an endpoint, with exit status 2`, async () => {
      const { status, stderr } = await rebind(['free', '--', wrong]);
      assert.equal(status, 2);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
    });
  }

  test('two servers that share the port with SO_REUSEPORT are both asked', async () => {
    const port = stage.freePort();
    const actors = [await stage.actor('one'), await stage.actor('two')];
    for (const actor of actors) {
      const socket = await actor.open({ reuseAddress: true, reusePort: true });
      await socket.bind('127.0.0.1', port);
      await socket.listen();
    }
    const { status, json } = await rebind(['free', String(port), '--yes']);
    assert.equal(status, 0);
    assert.deepEqual(
      json.steps.map((step: { target: { pid: number } }) => step.target.pid).sort(),
      actors.map((actor) => actor.pid).sort(),
    );
    await assertBindable(port);
  });

  test('TCP and UDP of one number belong to different programs', async () => {
    const port = stage.freePort();
    const tcp = await world.node(serve({ port, host: '127.0.0.1' }));
    const udp = await world.node(
      `require('dgram').createSocket('udp4').bind(${port}, '127.0.0.1', () => console.log('ready'))`,
    );
    assert.equal((await rebind(['free', String(port)])).status, 0);
    await tcp.ended();
    assert.ok(udp.isAlive());
  });

  test('a port whose digits begin another number is not that number', async () => {
    const long = stage.freePort();
    const short = Math.floor(long / 10);
    const server = await world.node(serve({ port: long }));
    const { json } = await rebind(['free', String(short), '--no-reuse-address']);
    assert.equal(json.steps.length, 0);
    assert.ok(server.isAlive());
  });

  test('127.0.0.1 and ::1 are two endpoints: one of them stops one server, the bare port both', {
    skip: missing(['ipv6']) ?? false,
  }, async () => {
    const port = stage.freePort();
    const v4 = await world.node(serve({ port, host: '127.0.0.1' }));
    const v6 = await world.node(serve({ port, host: '::1' }));
    assert.equal((await rebind(['free', `[::1]:${port}`])).status, 0);
    await v6.ended();
    assert.ok(v4.isAlive());
    const again = await world.node(serve({ port, host: '::1' }));
    assert.equal((await rebind(['free', String(port)])).status, 0);
    await Promise.all([v4.ended(), again.ended()]);
  });

  test('a number that is also the number of a process is a port', async () => {
    for (let tries = 0; tries < 50; tries++) {
      const other = await world.bystander();
      if (other.pid < 1024 || other.pid > 65_535) continue;
      const { json } = await rebind(['free', String(other.pid)]);
      assert.equal(json.endpoint.port, other.pid);
      return world.assertBystanders();
    }
  });

  test("another user's listener is reported as that, and nothing is claimed", {
    skip: missing(['unprivileged', 'second-user']) ?? false,
  }, async () => {
    const port = stage.freePort();
    const server = await world.node(serve({ port }));
    const { status, json } = await rebind(['free', String(port), '--yes'], { before: stage.unprivileged().askAs });
    assert.equal(status, 1);
    assert.equal(json.bindable, false);
    assert.deepEqual(outcomes(json), ['stop-process refused']);
    assert.match(json.steps[0].why, /cannot be seen|run this as/);
    assert.match(json.steps[0].sentence, new RegExp(`a process of user ${userInfo().username}$`));
    assert.ok(server.isAlive());
  });
});

/** What is left of one connection on a port, known by the port of its peer. */
async function timeWait(on: Stage, reuseAddress = false): Promise<{ port: number; peer: number }> {
  const port = on.freePort();
  const actor = await on.actor('past');
  const listener = await actor.open({ reuseAddress });
  await listener.bind('127.0.0.1', port);
  await listener.listen();
  const from = await actor.open();
  await from.connect('127.0.0.1', port);
  const { port: peer } = (await from.address()) as { port: number };
  const accepted = await listener.accept();
  await accepted.close();
  await from.close();
  await listener.close();
  await on.settled(port, (states) => !states.includes('LISTEN') && tcpStates(port, peer).join() === 'TIME_WAIT');
  return { port, peer };
}

/** A client whose own port, chosen by the kernel, is the one that is wanted. */
async function outgoing() {
  const remote = stage.freePort();
  const server = await world.node(serve({ port: remote, host: '127.0.0.1' }));
  const browser = await world.node(
    `const s = require('net').connect(${remote}, '127.0.0.1', () => console.log('ready', s.localPort)); s.on('error', () => {}); setInterval(() => {}, 1e6)`,
  );
  const [, port] = /ready (\d+)/.exec(browser.printed()) ?? [];
  return { port: Number(port), remote, browser, server };
}

interface SocketsStep {
  readonly remedy: string;
  readonly outcome: string;
  readonly why: string;
  readonly target: {
    readonly sockets: readonly { readonly inode: number; readonly remote: { port: number } | null }[];
  };
}

/** The step about the connection to that port first. The kernel chose the local one, so others may have left something there. */
function sortedByPeer({ steps }: { steps: readonly SocketsStep[] }, remote: number): [SocketsStep, ...SocketsStep[]] {
  const wanted = steps.find(({ target }) => target.sockets.some((socket) => socket.remote?.port === remote));
  assert.ok(wanted !== undefined, JSON.stringify(steps));
  return [wanted, ...steps.filter((step) => step !== wanted)];
}

function isOwned({ target }: SocketsStep): boolean {
  return target.sockets.some(({ inode }) => inode !== 0);
}
