import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { InetSocket } from '../../../../src/model/facts.ts';
import { os } from '../../../../src/os/index.ts';
import { openStage } from '../../../../src/stage/open.ts';
import { tcpStates } from '../../../../src/stage/ports.ts';
import type { Stage } from '../../../../src/stage/stage.ts';
import { openDescriptors } from '../open-descriptors.ts';

const isRoot = process.getuid?.() === 0;
const skip = isRoot ? false : 'destroying a socket needs CAP_NET_ADMIN: runs as root';

let stage: Stage;
beforeEach(() => {
  stage = openStage();
});
afterEach(async () => stage[Symbol.asyncDispose]());

function socketsOf(port: number, address: string): InetSocket[] {
  const { sockets } = os().readFacts(stage.tcp(address, port), { holders: 'none' });
  return sockets.filter((socket): socket is InetSocket => socket.protocol === 'tcp');
}

async function connection(address: string, family: 4 | 6, reusePort = false) {
  const port = stage.freePort();
  const actor = await stage.actor('server');
  const listener = await actor.open({ family, reusePort });
  await listener.bind(address, port);
  await listener.listen();
  const client = await actor.open({ family });
  await client.connect(address, port);
  const accepted = await listener.accept();
  return { port, actor, listener, client, accepted };
}

describe('destroying a socket', () => {
  for (const [address, family] of [
    ['127.0.0.1', 4],
    ['::1', 6],
  ] as const) {
    test(`what is left in TIME_WAIT on ${address} is gone, and its port can be bound at once`, { skip }, async () => {
      const { port, listener, client, accepted, actor } = await connection(address, family);
      await accepted.close();
      await client.close();
      await listener.close();
      await stage.settled(port, (states) => states.length === 1 && states[0] === 'TIME_WAIT');
      const [left] = socketsOf(port, address);
      assert.ok(left !== undefined);
      const before = openDescriptors();
      assert.equal(os().sockets.destroy(left), 'done');
      assert.equal(os().sockets.destroy(left), 'gone');
      assert.deepEqual(openDescriptors(), before);
      assert.deepEqual(tcpStates(port), []);
      await (await actor.open({ family })).bind(address, port);
    });
  }

  test('one connection is cut, and the others stay', { skip }, async () => {
    const { port, listener, actor } = await connection('127.0.0.1', 4);
    const second = await actor.open();
    await second.connect('127.0.0.1', port);
    await listener.accept();
    const open = socketsOf(port, '127.0.0.1').filter((socket) => socket.state === 'ESTABLISHED');
    assert.equal(open.length, 2);
    assert.equal(os().sockets.destroy(open[0] as InetSocket), 'done');
    const rest = socketsOf(port, '127.0.0.1').filter((socket) => socket.state === 'ESTABLISHED');
    assert.deepEqual(
      rest.map((socket) => socket.linux?.cookie),
      [open[1]?.linux?.cookie],
    );
  });

  test('a certain member of a SO_REUSEPORT group is found', { skip }, async () => {
    const port = stage.freePort();
    const actor = await stage.actor('group');
    for (let i = 0; i < 4; i++) {
      const member = await actor.open({ reusePort: true });
      await member.bind('127.0.0.1', port);
      await member.listen();
    }
    const members = socketsOf(port, '127.0.0.1');
    assert.equal(members.length, 4);
    const wanted = members[2] as InetSocket;
    assert.equal(os().sockets.destroy(wanted), 'done');
    const listening = socketsOf(port, '127.0.0.1').filter((socket) => socket.state === 'LISTEN');
    assert.deepEqual(
      listening.map((socket) => socket.linux?.cookie).sort(),
      members
        .filter((socket) => socket !== wanted)
        .map((socket) => socket.linux?.cookie)
        .sort(),
    );
  });

  test('without the right to, it says so and nothing changes', {
    skip: isRoot && 'root has the right: runs as an ordinary user',
  }, async () => {
    const { port } = await connection('127.0.0.1', 4);
    const [first] = socketsOf(port, '127.0.0.1').filter((socket) => socket.state === 'ESTABLISHED');
    assert.deepEqual(os().sockets.destroy(first as InetSocket), { why: 'EPERM' });
    assert.ok(tcpStates(port).includes('ESTABLISHED'));
  });

  test('a socket whose name is not known is not looked for', async () => {
    const { port } = await connection('127.0.0.1', 4);
    const [first] = socketsOf(port, '127.0.0.1');
    assert.ok(first !== undefined);
    assert.notEqual(
      typeof os().sockets.destroy({ ...first, linux: { cookie: null, mini: false, cgroupId: null, mptcp: false } }),
      'string',
    );
    assert.ok(tcpStates(port).length > 0);
  });
});
