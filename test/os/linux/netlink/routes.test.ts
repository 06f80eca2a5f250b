/**
 * Routes, neighbours, links and sockets with their counts, as a kernel said them; and the exact look-up against what a real client meets.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { NativeError } from '../../../../src/os/errors.ts';
import { sockets } from '../../../../src/os/linux/calls/socket.ts';
import { decodeLink } from '../../../../src/os/linux/netlink/links.ts';
import { decodeMeasured, lookUp, readMeasured } from '../../../../src/os/linux/netlink/measured.ts';
import { decodeNeighbour } from '../../../../src/os/linux/netlink/neighbours.ts';
import { ask, type Conversation, NetlinkError } from '../../../../src/os/linux/netlink/netlink.ts';
import { NETLINK_ROUTE, NETLINK_SOCK_DIAG, openNetlink } from '../../../../src/os/linux/netlink/netlink-socket.ts';
import { decodeWay, readWay } from '../../../../src/os/linux/netlink/routes.ts';
import { stateBits } from '../../../../src/os/linux/netlink/sock-diag.ts';
import { message } from '../recording.ts';

interface Recorded {
  readonly routes: Readonly<Record<string, readonly [string, string]>>;
  readonly links: readonly string[];
  readonly neighbours: readonly string[];
  readonly sockets: readonly [string, string, string];
}
const recorded = JSON.parse(
  readFileSync(new URL('../../../../../test/fixtures/reach-6.18.44-x64.json', import.meta.url), 'utf8'),
) as Recorded;
const bytes = (hex: string | undefined): Buffer => Buffer.from(hex ?? '', 'hex');

test('the way to an address: what leads there, and the route that it stands in', () => {
  const [way, route] = recorded.routes['10.77.2.9'] ?? [];
  assert.deepEqual(decodeWay(bytes(way)), {
    type: 'unicast',
    deviceIndex: 3,
    gateway: '10.77.1.9',
    source: '10.77.1.1',
    mtuBytes: 1_400,
    prefix: '10.77.2.9/32',
  });
  assert.equal(decodeWay(bytes(route)).prefix, '10.77.2.0/24');
  const [way6, route6] = recorded.routes['fd77::9'] ?? [];
  assert.equal(decodeWay(bytes(way6)).gateway, 'fd77:1::9');
  assert.equal(decodeWay(bytes(route6)).prefix, 'fd77::/64');
  assert.equal(decodeWay(bytes(recorded.routes['127.0.0.1']?.[0])).type, 'local');
});

test('a neighbour with its state, and a link with its flags', () => {
  const [first, second] = recorded.neighbours.map((hex) => decodeNeighbour(bytes(hex)));
  assert.deepEqual(first, {
    address: '10.77.1.9',
    deviceIndex: 3,
    state: 'PERMANENT',
    hardwareAddress: '02:00:00:00:00:09',
  });
  assert.equal(second?.state, 'NOARP');
  const [loopback, veth] = recorded.links.map((hex) => decodeLink(bytes(hex)));
  assert.deepEqual(loopback, {
    name: 'lo',
    up: true,
    carrier: true,
    loopback: true,
    pointToPoint: false,
    mtuBytes: 65_536,
    kind: null,
  });
  assert.equal(veth?.kind, 'veth');
});

test('a listener with its queue, and a connection', () => {
  const [listener, udp, connection] = recorded.sockets;
  const measured = decodeMeasured(bytes(listener), 'tcp');
  assert.deepEqual([measured.receiveQueue, measured.sendQueue, measured.drops], [0, 511, 0]);
  assert.equal(decodeMeasured(bytes(udp), 'udp').socket.state, 'BOUND');
  assert.equal(decodeMeasured(bytes(connection), 'tcp').socket.state, 'ESTABLISHED');
});

/** A kernel that answers with one message. */
function answering(type: number, body: Buffer): Conversation {
  let sequence = 0;
  return {
    send: (request) => {
      sequence = request.readUInt32LE(8);
    },
    receive: () => message(type, 0, sequence, body),
  };
}

test('one question has one answer: a body, an errno, or an error where it is neither', () => {
  assert.deepEqual(ask(answering(24, Buffer.from('body')), 26, Buffer.alloc(0)), Buffer.from('body'));
  const refused = Buffer.alloc(20);
  refused.writeInt32LE(-101);
  assert.throws(
    () => ask(answering(2, refused), 26, Buffer.alloc(0)),
    (error) => error instanceof NativeError && error.code === 'ENETUNREACH',
  );
  assert.throws(() => ask(answering(3, Buffer.alloc(4)), 26, Buffer.alloc(0)), NetlinkError);
});

test('answers to other questions only are an error, and not a wait without end', () => {
  const other: Conversation = { send: () => {}, receive: () => message(24, 0, 4_000_000_000, Buffer.alloc(4)) };
  assert.throws(() => ask(other, 26, Buffer.alloc(0)), /other questions/);
});

test('this kernel has a way to itself', () => {
  const kernel = openNetlink(NETLINK_ROUTE);
  try {
    const way = readWay(kernel, { address: '127.0.0.1', protocol: 'tcp', port: 80 });
    assert.ok(!('errno' in way));
    assert.equal(way.type, 'local');
    assert.equal(way.deviceIndex, 1);
  } finally {
    kernel.close();
  }
});

async function listening(server: Server, port = 0): Promise<number> {
  server.listen({ port, host: '127.0.0.1' });
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('the exact look-up names the listener that a client would meet, and none where nobody listens', async () => {
  const server = createServer();
  const port = await listening(server);
  const kernel = openNetlink(NETLINK_SOCK_DIAG);
  try {
    const from = { address: '127.0.0.1', port: 1 };
    const found = lookUp(kernel, { protocol: 'tcp', from, to: { address: '127.0.0.1', port }, deviceIndex: 1 });
    assert.equal(found?.socket.state, 'LISTEN');
    assert.equal(found.socket.local.port, port);
    assert.equal(lookUp(kernel, { protocol: 'tcp', from, to: { address: '127.0.0.2', port }, deviceIndex: 1 }), null);
  } finally {
    kernel.close();
    server.close();
  }
});

test('of a group with SO_REUSEPORT it names the member that gets the client of just this port', async () => {
  const members = [sockets.open('tcp', 4), sockets.open('tcp', 4), sockets.open('tcp', 4)];
  const kernel = openNetlink(NETLINK_SOCK_DIAG);
  const clients: ReturnType<typeof connect>[] = [];
  try {
    let port = 0;
    for (const member of members) {
      sockets.setBindOptions(member, 4, { reuseAddress: false, reusePort: true, v6Only: false, device: null });
      sockets.bind(member, { protocol: 'tcp', address: '127.0.0.1', port });
      const own = sockets.address(member);
      port = own.protocol === 'unix' ? 0 : own.port;
      sockets.listen(member, 64);
    }
    const to = { address: '127.0.0.1', port };
    const queues = (): Map<number, number> =>
      new Map(
        readMeasured(kernel, { protocol: 'tcp', states: stateBits.LISTEN, port }).map((row) => [
          row.socket.inode,
          row.receiveQueue,
        ]),
      );
    const seen = new Set<number>();
    for (let round = 0; round < 12; round++) {
      const before = queues();
      const client = connect(port, '127.0.0.1');
      clients.push(client);
      await once(client, 'connect');
      const from = { address: '127.0.0.1', port: client.localPort ?? 0 };
      // The connection itself is found first; a client of the same port from another address falls to the same hash only by luck.
      const grown = [...queues()].filter(([inode, waiting]) => waiting > (before.get(inode) ?? 0));
      assert.equal(grown.length, 1);
      client.resetAndDestroy();
      await once(client, 'close');
      const predicted = lookUp(kernel, { protocol: 'tcp', from, to, deviceIndex: 1 });
      assert.equal(predicted?.socket.state, 'LISTEN');
      assert.equal(predicted.socket.inode, grown[0]?.[0]);
      seen.add(predicted.socket.inode);
    }
    assert.ok(seen.size > 1, 'twelve clients met one member of three');
  } finally {
    for (const client of clients) client.destroy();
    for (const member of members) sockets.close(member);
    kernel.close();
  }
});
