/** What the library does on a machine where the package that makes system calls cannot be loaded. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import Module from 'node:module';
import net from 'node:net';
import { test } from 'node:test';
import { close, getOption, listen, reserve } from '../../src/index.ts';

const loader = Module as unknown as { _load(name: string, ...rest: unknown[]): unknown };
const { _load: original } = loader;
loader._load = (name, ...rest) => {
  if (name === 'koffi') throw Object.assign(new Error("Cannot find module 'koffi'"), { code: 'MODULE_NOT_FOUND' });
  return Reflect.apply(original, loader, [name, ...rest]);
};

const { dlopen } = process;
process.dlopen = (module: object, file: string, ...rest: unknown[]) => {
  if (file.includes('koffi')) throw new Error('No such binary');
  return Reflect.apply(dlopen, process, [module, file, ...rest]);
};

const localhost = { port: 0, host: '127.0.0.1' } as const;

test('it listens through Node and says which options it could not set', async () => {
  const server = net.createServer();
  const at = await listen(server, { ...localhost, keepAlive: true, userTimeout: { ms: 1000 }, busy: 'take-over' });
  assert.ok(at.port > 0);
  assert.deepEqual(
    at.unset.map(({ option }) => option),
    ['userTimeout', 'keepAlive'],
  );
  assert.match(at.unset[0]?.why ?? '', /Cannot load koffi/);
  await close(server);
});

test('an option that decides who can reach the server is an error, and so is one that was required', async () => {
  const server = net.createServer();
  await assert.rejects(listen(server, { ...localhost, device: 'lo' }), {
    name: 'UnsupportedError',
    message: /^Cannot set device: Cannot load koffi/,
  });
  await assert.rejects(listen(server, { ...localhost, keepAlive: true, required: ['keepAlive'] }), {
    name: 'UnsupportedError',
  });
  await listen(server, { ...localhost, device: 'lo', required: [] });
  await close(server);
});

test('a blocked port is an error with the shape of Node', async () => {
  const holder = net.createServer();
  const { port } = await listen(holder, localhost);
  await assert.rejects(listen(net.createServer(), { port, host: '127.0.0.1' }), { code: 'EADDRINUSE', port });
  const next = net.createServer();
  assert.ok((await listen(next, { port, host: '127.0.0.1', busy: 'next' })).port > port);
  await Promise.all([close(holder), close(next)]);
});

test('close() drains, and reserve() reserves', async () => {
  const reserved = await reserve({ host: '127.0.0.1' });
  const server = http.createServer((_request, response) => setTimeout(() => response.end('done'), 100));
  await reserved.listen(server);
  assert.equal((server.address() as net.AddressInfo).port, reserved.port);
  const request = http.get({ port: reserved.port, host: '127.0.0.1' });
  await once(server, 'request');
  const closed = close(server);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  const { finished, killed } = await closed;
  assert.deepEqual([finished, killed], [1, 0]);
  using held = await reserve();
  assert.ok(held.port > 0);
  await assert.rejects(reserve({ exclusive: true }), { name: 'UnsupportedError' });
});

test('a socket option is an error that says why', async () => {
  const server = net.createServer();
  await listen(server, localhost);
  assert.throws(() => getOption(server, 'SO_TYPE'), { name: 'UnsupportedError', message: /Cannot load koffi/ });
  await close(server);
});
