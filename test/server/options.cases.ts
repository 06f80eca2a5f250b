import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { getOption, type OptionName, setOption } from '../../src/index.ts';
import { optionsTable } from '../../src/os/linux/options.ts';

/** One of each kind: an option is asked of the first that has it. */
let sockets: readonly (net.Server | net.Socket | dgram.Socket)[] = [];

before(async () => {
  const four = net.createServer().listen(0, '127.0.0.1');
  const six = net.createServer().listen(0, '::1');
  const unix = net.createServer().listen(`\0rebind-options-${process.pid}`);
  const udp = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await Promise.all([four, six, unix, udp].map((socket) => once(socket, 'listening')));
  const clients = [
    net.connect((four.address() as AddressInfo).port, '127.0.0.1'),
    net.connect((six.address() as AddressInfo).port, '::1'),
    net.connect(`\0rebind-options-${process.pid}`),
  ];
  await Promise.all(clients.map((socket) => once(socket, 'connect')));
  sockets = [...clients, four, six, unix, udp];
});

after(() => {
  for (const socket of sockets) {
    if (socket instanceof net.Socket) socket.destroy();
    else socket.close();
  }
});

/** What the kernel refuses to be set to on a connected socket, although it reads so. */
const fixed: readonly OptionName[] = ['IPV6_V6ONLY', 'TCP_FASTOPEN_CONNECT', 'IP_MULTICAST_TTL', 'IPV6_MULTICAST_HOPS'];
/** They need CAP_NET_ADMIN, whatever the value is. */
const privileged: readonly OptionName[] = ['SO_MARK'];
/** The kernel doubles them for its own book-keeping, or adjusts them. */
const adjusted: readonly OptionName[] = ['SO_SNDBUF', 'SO_RCVBUF', 'TCP_WINDOW_CLAMP', 'TCP_MAXSEG', 'TCP_QUICKACK'];

test('every option can be read, and set to what it is', () => {
  for (const [name, { access }] of Object.entries(optionsTable) as [OptionName, { access: string }][]) {
    if (access === 'write') continue;
    const failures: string[] = [];
    const known = sockets.some((socket) => {
      try {
        const value = getOption(socket, name);
        if (access === 'both' && !fixed.includes(name) && !adjusted.includes(name)) {
          setOption(socket, name, value);
          assert.deepEqual(getOption(socket, name), value, name);
        }
        return true;
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        // It was read; only root may set it.
        if (privileged.includes(name) && process.getuid?.() !== 0 && (error as { code?: string }).code === 'EPERM')
          return true;
        failures.push(String(error));
        return false;
      }
    });
    // IP_LOCAL_PORT_RANGE came with Linux 6.3.
    if (name !== 'IP_LOCAL_PORT_RANGE') assert.ok(known, `${name}: ${failures.join('; ')}`);
  }
});

test('values have their units, and the highest that the kernel knows', () => {
  const [socket] = sockets as [net.Socket];
  assert.equal(getOption(socket, 'SO_MAX_PACING_RATE'), null);
  setOption(socket, 'SO_MAX_PACING_RATE', { bytesPerSecond: 3_000_000_000 });
  assert.deepEqual(getOption(socket, 'SO_MAX_PACING_RATE'), { bytesPerSecond: 3_000_000_000 });
  setOption(socket, 'SO_MAX_PACING_RATE', null);
  assert.equal(getOption(socket, 'SO_MAX_PACING_RATE'), null);
  setOption(socket, 'TCP_NOTSENT_LOWAT', { bytes: 0xffffffff });
  assert.deepEqual(getOption(socket, 'TCP_NOTSENT_LOWAT'), { bytes: 0xffffffff });
  setOption(socket, 'TCP_USER_TIMEOUT', { ms: 30_000 });
  assert.deepEqual(getOption(socket, 'TCP_USER_TIMEOUT'), { ms: 30_000 });
  assert.throws(() => setOption(socket, 'SO_MAX_PACING_RATE', { bytesPerSecond: 0 }), RangeError);
});
