/**
 * What every operating system promises: Linux, one that rebind does not know, and one that provides nothing.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { type Endpoint, nodeTcpOptions, nodeUdpOptions } from '../../src/model/endpoint.ts';
import type { Gap } from '../../src/model/facts.ts';
import { type Capability, capabilities } from '../../src/os/capabilities.ts';
import { isUnsupportedError } from '../../src/os/errors.ts';
import { linux } from '../../src/os/linux/index.ts';
import type { Os } from '../../src/os/os.ts';
import { portable } from '../../src/os/portable.ts';
import { socket } from '../model/facts.ts';
import { FakeMac } from './darwin/fake-mac.ts';
import { stub } from './stub.ts';

const systems: readonly (readonly [string, Os])[] = [
  ...(process.platform === 'linux' ? [['linux', linux] as const] : []),
  ['macOS, made up', new FakeMac().os()],
  ['macOS without koffi', new FakeMac({ native: false }).os()],
  ['an unknown system', portable('sunos', 'only Linux has been run and tested')],
  ['a system that provides nothing', stub],
];

const all = Object.keys(capabilities) as Capability[];

const endpoints: readonly Endpoint[] = [
  { protocol: 'tcp', address: '127.0.0.1', port: 1 },
  { protocol: 'tcp', address: '::', port: 0 },
  { protocol: 'tcp', address: 'fe80::1%none', port: 65_535 },
  { protocol: 'udp', address: '0.0.0.0', port: 53 },
  { protocol: 'unix', path: '/nowhere/app.sock' },
  { protocol: 'unix', path: '\0rebind-contract' },
];

const requests = endpoints.flatMap((endpoint) =>
  [nodeTcpOptions, nodeUdpOptions, { ...nodeTcpOptions, reusePort: true }, { ...nodeTcpOptions, device: 'none0' }].map(
    (options) => ({ endpoint, options }),
  ),
);

/** A call of each capability that throws where it is lacking. */
const calls: { readonly [name in Capability]: (os: Os) => unknown } = {
  listSockets: (os) => os.readInventory(),
  identitySafeSignal: (os) => os.processes.identify(process.pid),
  ownSockets: (os) => os.sockets.close(os.sockets.open('tcp', 4)),
  socketOptions: (os) => os.sockets.getOption(withSocket(os), 'SO_REUSEADDR'),
  copySocket: (os) => os.processes.open(os.processes.identify(process.pid) ?? assert.fail())?.takeDescriptor(0),
  removeSocket: (os) => os.sockets.destroy(socket()),
  pauseListener: (os) => os.sockets.letIn(withSocket(os)),
  waitsForInput: (os) => os.processes.waitsForInput(process.pid, 1),
  socketEvents: (os) => os.events.wait({ port: { protocol: 'tcp', port: 1 }, timeoutMs: 1 }),
  passSockets: (os) => os.sockets.receiveDescriptors(withSocket(os)),
  channels: (os) => os.channels.openInbox('none', { believe: () => false, onData: () => {} }),
  sessions: (os) => os.sessions.ofChild(process.pid),
  orphans: (os) => os.orphans.exited(),
  directories: (os) => os.files.openDirectory('/', () => null),
  fileEvents: (os) => os.fileWatches.open(() => {}),
  streams: (os) => os.streams.kindOf(1),
};

function withSocket(os: Os): number {
  return os.sockets.open('tcp', 4);
}

for (const [name, os] of systems) {
  describe(name, () => {
    test('its advice is commands that can be pasted, or none', () => {
      const { advice } = os;
      assert.ok(advice.asAdministrator('rebind free 80').endsWith('rebind free 80'));
      const commands = [
        advice.unprivilegedFrom(80),
        advice.reserve([
          [3000, 3000],
          [4000, 4010],
        ]),
        advice.moreAutomaticPorts?.command ?? null,
        advice.serviceSockets(false),
        advice.serviceSockets(true),
        advice.policies?.command ?? null,
      ];
      for (const command of commands) if (command !== null) assert.match(command, /^[^\n]+[^\n.]$/);
    });

    test('reading never throws; what cannot be seen is a gap, and said to be unseen', () => {
      for (const request of requests) {
        for (const holders of ['none', 'likely', 'all'] as const) {
          const facts = os.readFacts(request, { holders });
          assert.equal(facts.platform, os.platform);
          assert.ok(facts.asker.pid === process.pid && facts.asker.ancestors.length > 0);
          if (os.lacks('listSockets') !== null) {
            assert.ok(facts.gaps.length > 0 && facts.unseen.sockets && facts.unseen.processes);
            assert.equal(facts.sockets.length, 0);
          }
          for (const gap of facts.gaps) sentence(gap);
        }
      }
      const { ipv6, localAddresses } = os.readSettings();
      assert.equal(os.hasIpv6(), ipv6);
      assert.ok(Array.isArray(localAddresses));
      assert.equal(os.readProcess({ pid: 2 ** 22 + 1, started: '1' }), null);
    });

    test('trying a bind never throws: it has an answer, or the reason why it has none', () => {
      for (const request of requests) {
        const gaps: Gap[] = [];
        const probe = os.probe(request, gaps);
        if (request.endpoint.protocol === 'unix') assert.deepEqual([probe, gaps], [null, []]);
        else assert.equal(gaps.length, probe === null ? 1 : 0);
        for (const gap of gaps) sentence(gap);
      }
    });

    test('a taken port is never said to be free, and trying leaves nothing behind', async () => {
      const server = net.createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as net.AddressInfo;
      const endpoint = { protocol: 'tcp', address: '127.0.0.1', port } as const;
      const probe = os.probe({ endpoint, options: nodeTcpOptions });
      assert.equal(probe?.errno ?? 'EADDRINUSE', 'EADDRINUSE');
      server.close();
      await once(server, 'close');
      for (let i = 0; i < 3; i++) assert.equal(os.probe({ endpoint, options: nodeTcpOptions })?.errno ?? null, null);
    });

    test('each capability is there, or its functions throw the reason why not', async () => {
      for (const capability of all) {
        const why = os.lacks(capability);
        if (why === null) continue;
        assert.match(why, /^\S.*[^.]$/);
        await assert.rejects(
          async () => calls[capability](os),
          (error) => {
            assert.ok(isUnsupportedError(error), `${capability}: ${String(error)}`);
            assert.match(error.message, /^Cannot /);
            return true;
          },
        );
      }
    });

    test('a sleep ends with its time, with what was ready, and with the reason of the signal', async () => {
      assert.deepEqual(await os.events.wait({ timeoutMs: 1 }), { kind: 'timeout' });
      assert.deepEqual(await os.events.wait({ timeoutMs: 60_000, ready: () => true }), { kind: 'ready' });
      const reason = new Error('enough');
      const aborter = new AbortController();
      const sleep = os.events.wait({ timeoutMs: 60_000, signal: aborter.signal });
      aborter.abort(reason);
      await assert.rejects(sleep, reason);
      await assert.rejects(os.events.wait({ timeoutMs: 60_000, signal: aborter.signal }), reason);
    });
  });
}

function sentence({ what, why, hint }: Gap): void {
  for (const text of [what, hint]) assert.match(text, /^[A-Z].*[^.]$/s);
  assert.match(why, /^\S+/);
}
