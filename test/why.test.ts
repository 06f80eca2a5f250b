import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { connect, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { look } from '../src/ask/look.ts';
import { readEndpoint, resolveRequest, type WhyEndpoint, type WhyOptions } from '../src/ask/request.ts';
import { formatEndpoint } from '../src/model/endpoint.ts';
import type { Facts, Probe } from '../src/model/facts.ts';
import { os as thisOs } from '../src/os/index.ts';
import type { Os } from '../src/os/os.ts';
import { explain, why } from '../src/why.ts';
import { facts, port, request, settings, socket } from './model/facts.ts';

const onLinux = process.platform === 'linux' ? false : 'only Linux can be read';

async function listening(host?: string): Promise<{ server: Server; port: number } & AsyncDisposable> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen({ port: 0, host }, resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  return { server, port: address.port, [Symbol.asyncDispose]: close };
}

/** An operating system that answers from lists: the last entry of each stays. */
function fakeOs(read: Facts[], probes: (Probe | null)[]): Os & { reads: number } {
  const next = <T>(list: T[]): T => {
    const [entry] = list;
    assert.ok(entry !== undefined);
    if (list.length > 1) list.shift();
    return entry;
  };
  const fake = {
    reads: 0,
    readFacts: () => {
      fake.reads++;
      return next(read);
    },
    probe: () => next(probes),
    readSettings: () => settings,
    hasIpv6: () => settings.ipv6,
    readRedirects: () => [],
  };
  return fake as unknown as Os & { reads: number };
}

const free: Probe = { errno: null, port };
const inUse: Probe = { errno: 'EADDRINUSE', port };

test('look() reads again while the kernel and the rules disagree, because sockets come and go', () => {
  const os = fakeOs([facts(), facts({ sockets: [socket()] })], [inUse]);
  const question = look(request(), os);
  assert.equal(os.reads, 2);
  assert.equal(question.disagrees, false);
  assert.equal(question.blockers.length, 1);
});

test('look() gives up after two further readings, and the disagreement stands', () => {
  const os = fakeOs([facts()], [inUse]);
  assert.equal(look(request(), os).disagrees, true);
  assert.equal(os.reads, 3);
});

test('look() reads once where they agree', () => {
  const os = fakeOs([facts()], [free]);
  assert.equal(explain(request(), os).bindable, true);
  assert.equal(os.reads, 1);
});

const endpoints: [string, WhyEndpoint, string][] = [
  ['a number', 3000, '[::]:3000'],
  ['a text', '3000', '[::]:3000'],
  ['an address', '127.0.0.1:3000', '127.0.0.1:3000'],
  ['an IPv6 address', '[0::1]:3000', '[::1]:3000'],
  ['UDP', 'udp/53', 'udp/[::]:53'],
  ['what listen() takes', { port: 3000 }, '[::]:3000'],
  ['what listen() takes with a host', { port: 3000, host: '127.0.0.1' }, '127.0.0.1:3000'],
  ['an empty host, as for listen()', { port: 3000, host: '' }, '[::]:3000'],
  ['an endpoint', { protocol: 'udp', address: '::1', port: 53 }, 'udp/[::1]:53'],
  ['port 0', { port: 0 }, '[::]:0'],
  ['a path', { path: '/run/app' }, '/run/app'],
  ['a Unix endpoint', 'unix:/run/app', '/run/app'],
];
for (const [title, given, expected] of endpoints) {
  test(`why() takes ${title}`, async () => {
    const { endpoint } = await resolveRequest(readEndpoint(given), {}, fakeOs([], []));
    assert.equal(formatEndpoint(endpoint), expected);
  });
}

test('a bare port means 0.0.0.0 where there is no IPv6', async () => {
  const os = { ...fakeOs([], []), hasIpv6: () => false } as unknown as Os;
  const { endpoint } = await resolveRequest(readEndpoint(3000), {}, os);
  assert.equal(formatEndpoint(endpoint), '0.0.0.0:3000');
});

test("the options have Node's defaults: SO_REUSEADDR for TCP, nothing for UDP", async () => {
  const tcp = await resolveRequest(readEndpoint(3000), {}, fakeOs([], []));
  const udp = await resolveRequest(readEndpoint('udp/53'), { device: 'lo', v6Only: true }, fakeOs([], []));
  assert.deepEqual(tcp.options, { reuseAddress: true, reusePort: false, v6Only: false, device: null });
  assert.deepEqual(udp.options, { reuseAddress: false, reusePort: false, v6Only: true, device: 'lo' });
});

test('a host name is resolved as listen() resolves it', async () => {
  const { endpoint } = await resolveRequest(readEndpoint('localhost:3000'), {}, fakeOs([], []));
  assert.match(formatEndpoint(endpoint), /^(127\.0\.0\.1|\[::1\]):3000$/);
});

test('a host name without an address is a RangeError that keeps what the resolver said', async () => {
  await assert.rejects(why('nowhere.invalid:3000'), (error: unknown) => {
    assert.ok(error instanceof RangeError);
    assert.ok(error.cause instanceof Error && 'code' in error.cause);
    return true;
  });
});

const wrongType: unknown[] = [
  undefined,
  null,
  true,
  {},
  { port: '3000' },
  { port: 3000, host: 7 },
  { path: 7 },
  Symbol('x'),
];
for (const given of wrongType) {
  test(`why() refuses ${typeof given === 'symbol' ? 'a symbol' : JSON.stringify(given)} with a TypeError`, async () => {
    await assert.rejects(why(given as WhyEndpoint), TypeError);
  });
}

const noMeaning: unknown[] = [
  '',
  '0',
  '3000-',
  -1,
  65_536,
  1.5,
  Number.NaN,
  { port: 70_000 },
  { path: '' },
  { path: 'a\0b' },
  { port: 1, protocol: 'sctp' },
];
for (const given of noMeaning) {
  test(`why() refuses ${JSON.stringify(given)} with a RangeError`, async () => {
    await assert.rejects(why(given as WhyEndpoint), RangeError);
  });
}

const wrongOptions: unknown[] = [
  { reuseAddress: 1 },
  { reusePort: 'yes' },
  { v6Only: null },
  { device: '' },
  { device: 7 },
];
for (const given of wrongOptions) {
  test(`why() refuses the options ${JSON.stringify(given)} with a TypeError`, async () => {
    await assert.rejects(why(3000, given as WhyOptions), TypeError);
  });
}

test('why() rejects with the reason of an aborted signal, and looks at nothing', async () => {
  const reason = new Error('enough');
  await assert.rejects(why(3000, { signal: AbortSignal.abort(reason) }), reason);
});

test('why() names the listener, its process and its descriptor', { skip: onLinux }, async () => {
  await using held = await listening('127.0.0.1');
  const report = await why(`127.0.0.1:${held.port}`);
  assert.equal(report.bindable, false);
  assert.equal(report.errno, 'EADDRINUSE');
  const [blocker] = report.blockers;
  assert.equal(blocker?.state, 'LISTEN');
  assert.equal(blocker?.certain, true);
  assert.equal(blocker?.holders[0]?.pid, process.pid);
});

test('why() says that a free port is free, and leaves it free', { skip: onLinux }, async () => {
  const { port: chosen, ...held } = await listening('127.0.0.1');
  await held[Symbol.asyncDispose]();
  const report = await why({ port: chosen, host: '127.0.0.1' });
  assert.equal(report.bindable, true);
  assert.equal(report.errno, null);
  assert.deepEqual(report.blockers, []);
  const again = createServer();
  await new Promise<void>((resolve, reject) => {
    again.once('error', reject).listen(chosen, '127.0.0.1', resolve);
  });
  again.close();
});

test('why() keeps TCP and UDP of one number apart', { skip: onLinux }, async () => {
  const udp = createSocket('udp4');
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  const { port: chosen } = udp.address();
  const [blocked, tcp] = [await why(`udp/127.0.0.1:${chosen}`), await why(`127.0.0.1:${chosen}`)];
  udp.close();
  assert.equal(blocked.bindable, false);
  assert.equal(blocked.blockers[0]?.protocol, 'udp');
  assert.ok(tcp.blockers.every((blocker) => blocker.protocol === 'tcp'));
});

test('why() answers with the options of the planned bind', { skip: onLinux }, async () => {
  await using held = await listening('::1').catch(() => listening('127.0.0.1'));
  const other = await why(`127.0.0.2:${held.port}`);
  assert.equal(other.bindable, true);
  const report = await why({ port: held.port, host: '0.0.0.0' }, { reusePort: true, holders: 'all' });
  assert.equal(report.options.reusePort, true);
});

test('why() of port 0 says that the kernel has a port to give', { skip: onLinux }, async () => {
  const report = await why({ port: 0, host: '127.0.0.1' });
  assert.equal(report.bindable, true);
  assert.equal(report.verdict, null);
});

test('many questions at once get their own answers', { skip: onLinux }, async () => {
  await using held = await listening('127.0.0.1');
  const reports = await Promise.all(Array.from({ length: 50 }, () => why({ port: held.port, host: '127.0.0.1' })));
  assert.ok(
    reports.every((report) => report.bindable === false && report.blockers[0]?.holders[0]?.pid === process.pid),
  );
  assert.equal(thisOs().platform, 'linux');
});

test('a live server alone is named, however many connections it has closed', { skip: onLinux }, async () => {
  await using busy = await listening('127.0.0.1');
  busy.server.on('connection', (socket) => socket.end());
  for (let i = 0; i < 20; i++) {
    await new Promise<void>((resolve) => {
      const client = connect(busy.port, '127.0.0.1').resume();
      client.on('close', () => resolve());
    });
  }
  const report = await why({ port: busy.port, host: '127.0.0.1' });
  assert.equal(report.verdict?.cause, 'other-listener');
  assert.deepEqual(report.also, []);
  assert.deepEqual(
    report.blockers.map((blocker) => blocker.state),
    ['LISTEN'],
  );
  assert.deepEqual(
    report.plan.map(({ remedy }) => remedy),
    // It is this very process, which is never asked to end.
    ['investigate'],
  );
});
