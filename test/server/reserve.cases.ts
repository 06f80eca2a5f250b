import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { close, isBlockedPortError, listen, reserve } from '../../src/index.ts';

const program = (name: string): string => fileURLToPath(new URL(`programs/${name}.js`, import.meta.url));

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  assert.ok(child.stdout);
  for await (const chunk of child.stdout) {
    text += chunk;
    if (text.includes('\n')) break;
  }
  return text.split('\n')[0] ?? '';
}

async function get(port: number): Promise<string> {
  const [response] = (await once(http.get({ port, host: '127.0.0.1', agent: false }), 'response')) as [
    http.IncomingMessage,
  ];
  let body = '';
  for await (const chunk of response) body += chunk;
  return body;
}

test('1,000 reservations across 8 processes never collide, with each other or with automatic ports', {
  timeout: 60_000,
}, async () => {
  const children = Array.from({ length: 8 }, () =>
    spawn(process.execPath, [program('reserver'), '125'], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  const ports = (await Promise.all(children.map(firstLine))).flatMap((line) => JSON.parse(line) as number[]);
  assert.equal(ports.length, 1000);
  assert.equal(new Set(ports).size, 1000);
  for (let i = 0; i < 200; i++) {
    const server = net.createServer();
    const at = await listen(server, { port: 0, host: '127.0.0.1' });
    assert.equal(ports.includes(at.port), false);
    await close(server);
  }
  for (const child of children) child.stdin.end();
  await Promise.all(children.map((child) => once(child, 'exit')));
});

test('a reserved port is listened on with the reserved socket', async () => {
  const port = await reserve({ host: '127.0.0.1' });
  const server = http.createServer((_request, response) => response.end('here'));
  await port.listen(server);
  assert.equal((server.address() as net.AddressInfo).port, port.port);
  assert.equal(await get(port.port), 'here');
  assert.throws(() => port.descriptor, { name: 'TypeError', message: /was used already/ });
  port.release();
  assert.equal(await get(port.port), 'here');
  await close(server, { idleMs: 20 });
});

test('a child that is told the number listens on it while it is reserved', async () => {
  using port = await reserve({ host: '127.0.0.1' });
  const child = spawn(process.execPath, [program('answer')], {
    env: { ...process.env, PORT: String(port.port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  assert.equal(await firstLine(child), 'ready');
  assert.equal(await get(port.port), `answer ${child.pid}`);
  child.kill();
  await once(child, 'exit');
});

test('an exclusive port is refused to everybody, and a child listens on the descriptor', async () => {
  const port = await reserve({ host: '127.0.0.1', exclusive: true });
  await assert.rejects(listen(net.createServer(), { port: port.port, host: '127.0.0.1' }), isBlockedPortError);
  const child = spawn(process.execPath, [program('answer')], { stdio: ['ignore', 'pipe', 'inherit', port.descriptor] });
  assert.equal(await firstLine(child), 'ready');
  port.release();
  assert.equal(await get(port.port), `answer ${child.pid}`);
  child.kill();
  await once(child, 'exit');
});

test('UDP ports are reserved alike', async () => {
  const port = await reserve({ protocol: 'udp', host: '127.0.0.1' });
  const other = dgram.createSocket({ type: 'udp4', reuseAddr: true });
  await assert.rejects(listen(other, { port: port.port, host: '127.0.0.1' }), isBlockedPortError);
  other.close();
  const socket = dgram.createSocket('udp4');
  await port.listen(socket);
  assert.equal(socket.address().port, port.port);
  await close(socket);
});

test('a released port is free, releasing twice is nothing, and no descriptor stays', async () => {
  const before = readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 100; i++) {
    const port = await reserve();
    port.release();
    port.release();
  }
  {
    using port = await reserve();
    assert.ok(port.descriptor > 2);
  }
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('an asked port that is blocked, and wrong arguments', async () => {
  const holder = net.createServer();
  const { port } = await listen(holder, { port: 0, host: '127.0.0.1' });
  await assert.rejects(reserve({ port, host: '127.0.0.1' }), (error: unknown) => {
    assert.ok(isBlockedPortError(error));
    assert.equal(error.verdict?.cause, 'other-listener');
    return true;
  });
  await close(holder);
  await assert.rejects(reserve({ port: 65_536 }), RangeError);
  await assert.rejects(reserve({ host: 'localhost' }), { name: 'TypeError', message: /host is an address/ });
  await assert.rejects(reserve({ protocol: 'sctp' as 'tcp' }), TypeError);
  await assert.rejects(reserve(null as never), TypeError);
  await assert.rejects(reserve({ prot: 'udp' } as never), { name: 'TypeError', message: /'prot' is not an option/ });
  await assert.rejects(reserve({ exclusive: 'yes' as never }), { name: 'TypeError', message: /true or false/ });
  using port2 = await reserve();
  await assert.rejects(port2.listen(net.createServer(), { backlog: 1.5 }), RangeError);
  await assert.rejects(port2.listen(dgram.createSocket('udp4')), { name: 'TypeError', message: /other kind/ });
});
