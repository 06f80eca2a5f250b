import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { BindOptions } from '../../../../src/model/endpoint.ts';
import { nodeTcpOptions } from '../../../../src/model/endpoint.ts';
import { isNativeError } from '../../../../src/os/errors.ts';
import { getNative, sockets } from '../../../../src/os/linux/calls/socket.ts';
import { openDescriptors } from '../open-descriptors.ts';

const bare: BindOptions = { ...nodeTcpOptions, reuseAddress: false };

function code(expected: string): (error: unknown) => boolean {
  return (error) => isNativeError(error) && error.code === expected;
}

describe('raw sockets', () => {
  let before: string[];
  beforeEach(() => {
    // Loads koffi, which keeps nothing open; the first call would blur the count otherwise.
    sockets.close(sockets.open('tcp', 4));
    before = openDescriptors();
  });
  afterEach(() => assert.deepEqual(openDescriptors(), before, 'a descriptor leaked'));

  for (const [kind, family, address] of [
    ['tcp', 4, '127.0.0.1'],
    ['tcp', 6, '::1'],
    ['tcp', 6, '::'],
    ['tcp', 6, '::ffff:127.0.0.1'],
    ['udp', 4, '0.0.0.0'],
    ['udp', 6, '::1'],
  ] as const) {
    test(`a ${kind} socket bound to ${address} tells its address`, () => {
      const fd = sockets.open(kind, family);
      try {
        sockets.setBindOptions(fd, family, bare);
        sockets.bind(fd, { protocol: kind, address, port: 0 });
        const bound = sockets.address(fd);
        assert.ok(bound.protocol !== 'unix');
        assert.deepEqual({ ...bound, port: 0 }, { protocol: kind, address, port: 0 });
        assert.ok(bound.port > 0);
      } finally {
        sockets.close(fd);
      }
    });
  }

  test('a link-local address keeps its zone', (t) => {
    const found = Object.entries(networkInterfaces())
      .flatMap(([name, list]) => (list ?? []).map((each) => ({ name, address: each.address })))
      .find((each) => each.address.startsWith('fe80:'));
    if (found === undefined) return t.skip('this machine has no link-local IPv6 address');
    const fd = sockets.open('tcp', 6);
    try {
      sockets.bind(fd, { protocol: 'tcp', address: `${found.address}%${found.name}`, port: 0 });
      const bound = sockets.address(fd);
      assert.ok(bound.protocol !== 'unix');
      assert.equal(bound.address, `${found.address}%${found.name}`);
    } finally {
      sockets.close(fd);
    }
  });

  test('a zone that names no interface is none, as for Node: a link-local address lacks one, another address needs none', () => {
    for (const zone of ['nosuchdevice', '1']) {
      const [linkLocal, loopback] = [sockets.open('tcp', 6), sockets.open('tcp', 6)];
      assert.throws(
        () => sockets.bind(linkLocal, { protocol: 'tcp', address: `fe80::1%${zone}`, port: 0 }),
        code('EINVAL'),
      );
      sockets.bind(loopback, { protocol: 'tcp', address: `::1%${zone}`, port: 0 });
      sockets.close(linkLocal);
      sockets.close(loopback);
    }
  });

  test('an address that is not here is EADDRNOTAVAIL, a second listener EADDRINUSE', () => {
    const fd = sockets.open('tcp', 4);
    const second = sockets.open('tcp', 4);
    try {
      assert.throws(
        () => sockets.bind(second, { protocol: 'tcp', address: '192.0.2.1', port: 0 }),
        code('EADDRNOTAVAIL'),
      );
      sockets.setBindOptions(fd, 4, nodeTcpOptions);
      sockets.setBindOptions(second, 4, nodeTcpOptions);
      sockets.bind(fd, { protocol: 'tcp', address: '127.0.0.1', port: 0 });
      assert.equal(sockets.isListening(fd), false);
      sockets.listen(fd, 5);
      assert.equal(sockets.isListening(fd), true);
      const bound = sockets.address(fd);
      assert.throws(() => sockets.bind(second, bound), code('EADDRINUSE'));
    } finally {
      sockets.close(fd);
      sockets.close(second);
    }
  });

  test('two sockets with reusePort share a port', () => {
    const options = { ...bare, reusePort: true };
    const fds = [sockets.open('tcp', 4), sockets.open('tcp', 4)] as const;
    try {
      for (const fd of fds) sockets.setBindOptions(fd, 4, options);
      sockets.bind(fds[0], { protocol: 'tcp', address: '127.0.0.1', port: 0 });
      sockets.listen(fds[0], 5);
      sockets.bind(fds[1], sockets.address(fds[0]));
      sockets.listen(fds[1], 5);
    } finally {
      for (const fd of fds) sockets.close(fd);
    }
  });

  test('v6Only leaves IPv4 to others, and a device restricts a socket to itself', () => {
    const v6 = sockets.open('tcp', 6);
    const v4 = sockets.open('tcp', 4);
    try {
      sockets.setBindOptions(v6, 6, { ...bare, v6Only: true });
      sockets.setBindOptions(v4, 4, { ...bare, device: 'lo' });
      sockets.bind(v6, { protocol: 'tcp', address: '::', port: 0 });
      const bound = sockets.address(v6);
      assert.ok(bound.protocol !== 'unix');
      sockets.bind(v4, { protocol: 'tcp', address: '0.0.0.0', port: bound.port });
      // SO_BINDTODEVICE
      assert.equal(getNative(v4, { level: 1, name: 25 }, 16).toString().replace(/\0.*$/, ''), 'lo');
    } finally {
      sockets.close(v6);
      sockets.close(v4);
    }
  });

  test('an option that does not exist is ENOPROTOOPT', () => {
    const fd = sockets.open('tcp', 4);
    assert.throws(() => getNative(fd, { level: 1, name: 9999 }, 4), code('ENOPROTOOPT'));
    sockets.close(fd);
  });

  test('a duplicate is the same socket, and a closed descriptor is none', () => {
    const fd = sockets.open('tcp', 4);
    const copy = sockets.duplicate(fd);
    const identity = sockets.identity(fd);
    assert.ok(identity !== null && identity.inode > 0);
    assert.deepEqual(sockets.identity(copy), identity);
    sockets.close(fd);
    assert.deepEqual(sockets.identity(copy), identity);
    sockets.close(copy);
    assert.equal(sockets.identity(copy), null);
    assert.throws(() => sockets.close(copy), code('EBADF'));
  });

  test('Node listens on a socket that was made here', async () => {
    const fd = sockets.open('tcp', 4);
    sockets.setBindOptions(fd, 4, nodeTcpOptions);
    sockets.bind(fd, { protocol: 'tcp', address: '127.0.0.1', port: 0 });
    const bound = sockets.address(fd);
    assert.ok(bound.protocol !== 'unix');
    const server: Server = createServer();
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen({ fd }, resolve));
    assert.equal((server.address() as { port: number }).port, bound.port);
    await new Promise((resolve) => server.close(resolve));
  });

  for (const [title, path] of [
    ['a path', ''],
    ['an abstract name', '\0rebind-test-'],
  ] as const) {
    test(`descriptors travel over a Unix socket bound to ${title}`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'rebind-'));
      const endpoint = {
        protocol: 'unix',
        path: path === '' ? join(folder, 'a.sock') : `${path}${process.pid}`,
      } as const;
      const opened: number[] = [];
      const keep = (fd: number): number => {
        opened.push(fd);
        return fd;
      };
      try {
        // A datagram pair would need no accept; a stream is what hold uses, and its queue holds the data before accept.
        const listener = keep(sockets.open('unix', 4));
        sockets.bind(listener, endpoint);
        assert.deepEqual(sockets.address(listener), endpoint);
        sockets.listen(listener, 5);
        const client = keep(sockets.open('unix', 4));
        assert.equal(sockets.connect(client, endpoint), 'done');
        const server = keep(sockets.accept(listener) as number);
        assert.equal(sockets.accept(listener), null, 'nobody else connected');
        assert.equal(sockets.receiveDescriptors(server), null, 'nothing was sent yet');

        const gift = keep(sockets.open('tcp', 4));
        sockets.bind(gift, { protocol: 'tcp', address: '127.0.0.1', port: 0 });
        sockets.sendDescriptors(client, [gift, gift, gift], Buffer.from('three'));
        const received = sockets.receiveDescriptors(server);
        assert.ok(received !== null);
        for (const fd of received.descriptors) keep(fd);
        assert.equal(received.data.toString(), 'three');
        assert.equal(received.descriptors.length, 3);
        for (const fd of received.descriptors) assert.deepEqual(sockets.identity(fd), sockets.identity(gift));

        assert.deepEqual(sockets.peer(server), {
          pid: process.pid,
          uid: process.getuid?.(),
          gid: process.getgid?.(),
        });
        sockets.close(opened.splice(opened.indexOf(client), 1)[0] as number);
        assert.deepEqual(sockets.receiveDescriptors(server), { data: Buffer.alloc(0), descriptors: [] });
      } finally {
        for (const fd of opened) sockets.close(fd);
        rmSync(folder, { recursive: true });
      }
    });
  }

  test('a path that does not fit is ENAMETOOLONG, more than 253 descriptors EMSGSIZE', () => {
    const fd = sockets.open('unix', 4);
    assert.throws(() => sockets.bind(fd, { protocol: 'unix', path: `/${'x'.repeat(120)}` }), code('ENAMETOOLONG'));
    assert.throws(() => sockets.sendDescriptors(fd, new Array(254).fill(fd), Buffer.from('x')), code('EMSGSIZE'));
    sockets.close(fd);
  });
});
