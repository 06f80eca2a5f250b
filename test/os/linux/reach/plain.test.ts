/**
 * What is left where netlink may not be asked.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { openProc } from '../../../../src/os/linux/proc/proc.ts';
import { plainLookup, plainRoute, plainSockets } from '../../../../src/os/linux/reach/plain.ts';

const proc = openProc('/proc');

test('the listener of an address is found in /proc alone, and none where nobody listens', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const to = { protocol: 'tcp', address: '127.0.0.1', port } as const;
    const sockets = plainSockets(proc, to) ?? [];
    assert.deepEqual(
      sockets.map(({ state, local }) => [state, local.address]),
      [['LISTEN', '127.0.0.1']],
    );
    assert.equal(plainLookup(to, sockets).found?.inode, sockets[0]?.inode);
    assert.equal(plainLookup({ ...to, address: '127.0.0.2' }, sockets).found, null);
  } finally {
    server.close();
  }
});

test('an address of this machine is known without a question to the kernel, and nothing is said of others', () => {
  const route = (address: string): string | null | undefined =>
    plainRoute(proc, { protocol: 'tcp', address, port: 80 })?.type;
  assert.equal(route('127.0.0.1'), 'local');
  assert.equal(route('203.0.113.7'), undefined);
});
