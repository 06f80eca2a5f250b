import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { outcome } from '../src/stage/actor.ts';
import { addresses } from '../src/stage/addresses.ts';
import { namespaceCommand, namespaceEnvironment } from '../src/stage/namespace.ts';
import { missing } from '../src/stage/needs.ts';
import { openStage } from '../src/stage/open.ts';
import { tcpStates } from '../src/stage/ports.ts';

test('an actor binds, listens, connects and accepts with exactly the options it was told', async () => {
  await using stage = openStage();
  const port = stage.freePort();
  const actor = await stage.actor('one');
  const listener = await actor.open();
  await listener.bind('127.0.0.1', port);
  await listener.listen();
  const client = await actor.open();
  await client.connect('127.0.0.1', port);
  const child = await listener.accept();
  assert.deepEqual(await child.address(), { protocol: 'tcp', address: '127.0.0.1', port });
  assert.deepEqual(tcpStates(port).sort(), ['ESTABLISHED', 'LISTEN']);
  assert.equal(await child.send(10), 10);

  const second = await actor.open({ reuseAddress: true });
  assert.equal(await outcome(second.bind('127.0.0.1', port)), 'EADDRINUSE');
  assert.equal(await outcome(second.bind('127.0.0.2', port)), null);
});

test('a server without SO_REUSEADDR that closes first leaves TIME_WAIT, and with it the successor is not blocked', async () => {
  await using stage = openStage();
  for (const reuseAddress of [false, true]) {
    const port = stage.freePort();
    const actor = await stage.actor('server');
    const listener = await actor.open({ reuseAddress });
    await listener.bind('127.0.0.1', port);
    await listener.listen();
    const client = await actor.open();
    await client.connect('127.0.0.1', port);
    const child = await listener.accept();
    await child.close();
    await client.close();
    await listener.close();
    await stage.settled(port, (states) => states.length === 1 && states[0] === 'TIME_WAIT');
    const successor = await actor.open({ reuseAddress: true });
    assert.equal(await outcome(successor.bind('127.0.0.1', port)), reuseAddress ? null : 'EADDRINUSE');
  }
});

test('an inherited socket outlives the actor and ends with the stage', async () => {
  const stage = openStage();
  const port = stage.freePort();
  const actor = await stage.actor('parent');
  const listener = await actor.open({ reuseAddress: true });
  await listener.bind('127.0.0.1', port);
  await listener.listen();
  const child = await actor.spawn('worker', [listener]);
  await actor.kill();
  assert.ok(existsSync(`/proc/${child.pid}`));
  assert.deepEqual(tcpStates(port), ['LISTEN']);
  await stage[Symbol.asyncDispose]();
  assert.deepEqual(tcpStates(port), []);
});

test('a plain Node server says which port it has, and is gone with its directory at the end', async () => {
  const stage = openStage();
  const server = await stage.nodeServer({ port: 0, host: '127.0.0.1' });
  const directory = stage.directory();
  assert.match(readFileSync(`/proc/${server.pid}/cmdline`, 'utf8'), /server\.js/);
  assert.equal((await fetch(`http://127.0.0.1:${server.port}/`)).status, 200);
  await stage[Symbol.asyncDispose]();
  assert.ok(!existsSync(directory));
  assert.ok(!tcpStates(server.port).includes('LISTEN'));
});

test('everything of a stage ends when the program that made it is killed', async () => {
  await using stage = openStage();
  const port = stage.freePort();
  const program = `
    import { openStage } from ${JSON.stringify(new URL('../src/stage/open.js', import.meta.url).href)};
    const stage = openStage();
    const actor = await stage.actor('parent');
    const listener = await actor.open();
    await listener.bind('127.0.0.1', ${port});
    await listener.listen();
    await actor.spawn('worker', [listener]);
    await stage.nodeServer({ port: 0 });
    process.kill(process.pid, 'SIGKILL');`;
  const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'inherit', 'inherit'],
    // Nobody removes the directory of a stage that was killed; so it is one in ours.
    env: { ...process.env, NODE_TEST_CONTEXT: '', TMPDIR: stage.directory() },
    timeout: 20_000,
  });
  assert.equal(ended.signal, 'SIGKILL');
  await stage.settled(port, (states) => states.length === 0);
});

test('freePort() gives a port that a server can listen on at once', async () => {
  await using stage = openStage();
  const port = stage.freePort();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, resolve));
  await new Promise((resolve) => server.close(resolve));
});

test('a namespace has its own loopback, ports and processes', (t) => {
  const prefix = namespaceCommand();
  if (prefix === null) return t.skip('this machine does not let this user make namespaces');
  const program = `
    import { raiseLoopback, insideNamespace } from ${JSON.stringify(new URL('../src/stage/namespace.js', import.meta.url).href)};
    import { openStage } from ${JSON.stringify(new URL('../src/stage/open.js', import.meta.url).href)};
    import { readdirSync } from 'node:fs';
    raiseLoopback();
    const stage = openStage();
    stage.setting('ipv4.ip_local_port_range', '40000 40001');
    const server = await stage.nodeServer({ port: 0 });
    const processes = readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).length;
    console.log(JSON.stringify({ inside: insideNamespace(), port: server.port, processes }));
    await stage[Symbol.asyncDispose]();`;
  const [file = '', ...args] = prefix;
  const { stdout, stderr, status } = spawnSync(
    file,
    [...args, process.execPath, '--input-type=module', '-e', program],
    {
      env: { ...namespaceEnvironment(), NODE_TEST_CONTEXT: '' },
      encoding: 'utf8',
      timeout: 20_000,
      killSignal: 'SIGKILL',
    },
  );
  assert.equal(status, 0, stderr);
  const seen = JSON.parse(stdout) as { inside: boolean; port: number; processes: number };
  assert.equal(seen.inside, true);
  assert.ok(seen.port === 40_000 || seen.port === 40_001);
  // The shell in front, the program, and the server.
  assert.equal(seen.processes, 3);
});

test('a network has a client, a router and a server that reach each other at once, over IPv4 and IPv6', async (t) => {
  const reason = missing(['network']);
  if (reason !== null) return t.skip(reason);
  await using stage = openStage();
  const { client, router, server } = await stage.network();
  const { port } = await server.nodeServer({ port: 0, host: '::' });
  const program = `Promise.all(process.argv.slice(1).map((host) => fetch('http://' + host + ':${port}/').then((answer) => answer.text()))).then((texts) => console.log(texts.join('')))`;
  const hosts = [addresses.server.ipv4, `[${addresses.server.ipv6}]`];
  assert.equal(await client.run([process.execPath, '-e', program, ...hosts]), 'hello\nhello\n\n');

  await router.nft('add table inet filter');
  assert.match(await router.run(['nft', 'list', 'ruleset']), /table inet filter/);
  assert.doesNotMatch(await client.run(['nft', 'list', 'ruleset']), /table/);
  await client.setting('ipv4.ip_local_port_range', '40000 40001');
  assert.match(await client.run(['cat', '/proc/sys/net/ipv4/ip_local_port_range']), /^40000\s40001$/m);
});

test('an actor on a host of the network works there, as another user too', async (t) => {
  const reason = missing(['network']) ?? missing(['second-user']);
  if (reason !== null) return t.skip(reason);
  await using stage = openStage();
  const host = await stage.host();
  const actor = await host.actor('one', stage.secondUser());
  const socket = await actor.open();
  await socket.bind('127.0.0.1', 4711);
  await socket.listen();
  assert.match(await host.run(['cat', '/proc/net/tcp']), /0100007F:1267 .* 0A /);
  assert.match(readFileSync(`/proc/${actor.pid}/status`, 'utf8'), /^Uid:\t1\t1\t1\t1$/m);
  assert.deepEqual(tcpStates(4711), []);
});

test('a setting is never changed outside of a namespace of the stage', async () => {
  await using stage = openStage();
  assert.throws(() => stage.setting('ipv4.ip_local_port_range', '1 2'), /refusing/);
});

test('missing() says what a stage lacks', () => {
  assert.equal(missing([]), null);
  assert.match(missing(['namespace']) ?? '', /namespace/);
});

test('no stage leaves a descriptor behind', async () => {
  const count = (): number => readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 2; i++) {
    await using stage = openStage();
    await stage.actor('one');
  }
  const before = count();
  for (let i = 0; i < 3; i++) {
    await using stage = openStage();
    const actor = await stage.actor('one');
    await actor.open();
    await stage.nodeServer({ port: 0 });
  }
  assert.equal(count(), before);
});
