import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BindOptions } from '../../src/model/endpoint.ts';
import type { InetSocket, SocketState } from '../../src/model/facts.ts';
import { linux } from '../../src/model/rules/linux.ts';
import { overlap } from '../../src/model/rules/linux-address.ts';
import { blocksAutomatic, conflict, type Known, udpBinds } from '../../src/model/rules/linux-conflict.ts';
import { binderOf } from '../../src/model/rules/rules.ts';
import { spanOf } from '../../src/model/rules/span.ts';
import { at, facts, port, request, settings, socket, unixFile, unixSocket } from './facts.ts';

type Flags = 'none' | 'RA' | 'RP' | 'both';
const flagsOf = (flags: Flags): Pick<BindOptions, 'reuseAddress' | 'reusePort'> => ({
  reuseAddress: flags === 'RA' || flags === 'both',
  reusePort: flags === 'RP' || flags === 'both',
});

function binder(
  address: string,
  flags: Flags = 'none',
  over: { protocol?: 'tcp' | 'udp'; uid?: number; device?: string } = {},
) {
  const options = { ...flagsOf(flags), v6Only: false, device: over.device ?? null };
  return binderOf({ protocol: over.protocol ?? 'tcp', address, port }, options, over.uid ?? 1000);
}

function predict(
  address: string,
  options: Partial<BindOptions>,
  sockets: readonly InetSocket[],
  over: Parameters<typeof facts>[0] = {},
) {
  return linux.predict(
    request({ address, protocol: sockets[0]?.protocol ?? 'tcp' }, options),
    facts({ sockets, ...over }),
  );
}

const spans: [string, boolean, string | null, string | null][] = [
  ['0.0.0.0', false, '*', null],
  ['127.0.0.1', false, '127.0.0.1', null],
  ['::', false, '*', '*'],
  ['::', true, null, '*'],
  ['::1', false, null, '::1'],
  ['::ffff:0.0.0.0', false, '*', null],
  ['::ffff:127.0.0.1', false, '127.0.0.1', null],
  ['0:0:0:0:0:ffff:7f00:1', false, '127.0.0.1', null],
  ['fe80::1%eth0', false, null, 'fe80::1'],
];
for (const [address, v6Only, v4, v6] of spans) {
  test(`${address}${v6Only ? ' with IPV6_V6ONLY' : ''} covers ${v4 ?? 'no'} IPv4 and ${v6 ?? 'no'} IPv6 address`, () => {
    assert.deepEqual(spanOf({ family: address.includes(':') ? 6 : 4, address, v6Only }), { v4, v6 });
  });
}

test('a new 0.0.0.0 collides with what a dual-stack server left on ::1, but 127.0.0.1 and ::ffff:0.0.0.0 do not', () => {
  const left = { family: 6 as const, address: '::1', v6Only: false };
  assert.equal(overlap({ family: 4, address: '0.0.0.0', v6Only: false }, left), true);
  assert.equal(overlap({ family: 4, address: '127.0.0.1', v6Only: false }, left), false);
  assert.equal(overlap({ family: 6, address: '::ffff:0.0.0.0', v6Only: false }, left), false);
  assert.equal(overlap({ family: 4, address: '0.0.0.0', v6Only: false }, { ...left, v6Only: true }), false);
  assert.equal(overlap(left, { family: 4, address: '0.0.0.0', v6Only: false }), false);
});

// The table of ip(7) and socket(7) as measured: rows are the old socket, columns the new one; `b` blocks.
const byState: [string, Parameters<typeof socket>[0], Flags, Record<Flags, 'b' | 'ok'>][] = [
  ['a listener without flags', { state: 'LISTEN' }, 'none', { none: 'b', RA: 'b', RP: 'b', both: 'b' }],
  ['a listener with SO_REUSEADDR', { state: 'LISTEN' }, 'RA', { none: 'b', RA: 'b', RP: 'b', both: 'b' }],
  ['a listener with SO_REUSEPORT', { state: 'LISTEN' }, 'RP', { none: 'b', RA: 'b', RP: 'ok', both: 'ok' }],
  ['a bound socket without flags', { state: 'BOUND' }, 'none', { none: 'b', RA: 'b', RP: 'b', both: 'b' }],
  ['a bound socket with SO_REUSEADDR', { state: 'BOUND' }, 'RA', { none: 'b', RA: 'ok', RP: 'b', both: 'ok' }],
  ['a bound socket with SO_REUSEPORT', { state: 'BOUND' }, 'RP', { none: 'b', RA: 'b', RP: 'ok', both: 'ok' }],
  ['CLOSE_WAIT with both', { state: 'CLOSE_WAIT' }, 'both', { none: 'b', RA: 'ok', RP: 'ok', both: 'ok' }],
  ['TIME_WAIT without flags', { state: 'TIME_WAIT', mini: true }, 'none', { none: 'b', RA: 'b', RP: 'b', both: 'b' }],
  [
    'TIME_WAIT with SO_REUSEADDR',
    { state: 'TIME_WAIT', mini: true },
    'RA',
    { none: 'b', RA: 'ok', RP: 'b', both: 'ok' },
  ],
  [
    'TIME_WAIT with SO_REUSEPORT, of another user',
    { state: 'TIME_WAIT', mini: true, uid: 0 },
    'RP',
    { none: 'b', RA: 'b', RP: 'ok', both: 'ok' },
  ],
  [
    'a listener of another user with both',
    { state: 'LISTEN', uid: 7 },
    'both',
    { none: 'b', RA: 'b', RP: 'b', both: 'b' },
  ],
  [
    'a bound socket of another user with both',
    { state: 'BOUND', uid: 7 },
    'both',
    { none: 'b', RA: 'ok', RP: 'b', both: 'ok' },
  ],
  ['a connection still being made', { state: 'SYN_RECV' }, 'none', { none: 'ok', RA: 'ok', RP: 'ok', both: 'ok' }],
];
for (const [title, old, flags, expected] of byState) {
  test(`${title}: whom it blocks on the same address`, () => {
    const occupant = socket({ ...old, ...flagsOf(flags) });
    for (const [newFlags, answer] of Object.entries(expected)) {
      assert.equal(conflict(binder('0.0.0.0', newFlags as Flags), occupant), answer === 'b' ? 'yes' : 'no', newFlags);
    }
  });
}

test('two devices do not meet, a socket without a device meets every device', () => {
  const onLo = socket({ device: 'lo' });
  assert.equal(conflict(binder('0.0.0.0', 'RA', { device: 'eth0' }), onLo), 'no');
  assert.equal(conflict(binder('0.0.0.0', 'RA', { device: 'lo' }), onLo), 'yes');
  assert.equal(conflict(binder('0.0.0.0', 'RA'), onLo), 'yes');
});

test('the zone of a link-local address is the device', () => {
  assert.equal(binder('fe80::1%eth0').device, 'eth0');
  assert.equal(binder('fe80::1%eth0').address, 'fe80::1');
  assert.equal(binder('fe80::1%eth0', 'none', { device: 'lo' }).device, 'eth0');
  assert.equal(binder('ff02::1%eth0').device, 'eth0');
  assert.equal(binder('::1%eth0').device, null);
});

const hidden: [string, Flags, Parameters<typeof socket>[0], 'yes' | 'no' | 'maybe'][] = [
  ['a new socket without flags is blocked by any overlap', 'none', { state: 'TIME_WAIT' }, 'yes'],
  ['a listener blocks SO_REUSEADDR for certain', 'RA', { state: 'LISTEN' }, 'yes'],
  ['what is left of a connection may block SO_REUSEADDR', 'RA', { state: 'TIME_WAIT', mini: true }, 'maybe'],
  ['a listener may block SO_REUSEPORT', 'RP', { state: 'LISTEN' }, 'maybe'],
  ['another user blocks SO_REUSEPORT for certain', 'RP', { state: 'LISTEN', uid: 7 }, 'yes'],
  ['a bound socket may block both', 'both', { state: 'BOUND' }, 'maybe'],
  ['another address never blocks', 'none', { ...at('192.0.2.7') }, 'no'],
];
for (const [title, flags, old, expected] of hidden) {
  test(`with hidden flags, ${title}`, () => {
    const occupant = socket({ reuseAddress: null, reusePort: null, v6Only: null, ...old });
    assert.equal(conflict(binder(old?.local === undefined ? '0.0.0.0' : '127.0.0.1', flags), occupant), expected);
  });
}

test('a connection with a hidden v6only bit may block 0.0.0.0; its listener settles it', () => {
  const child = socket({ ...at('::1'), state: 'ESTABLISHED', v6Only: null, inode: 8 });
  const listener = (v6Only: boolean) => socket({ ...at('::'), state: 'LISTEN', v6Only, inode: 9 });
  assert.deepEqual(predict('0.0.0.0', {}, [child]).possible, ['EADDRINUSE', null]);
  assert.deepEqual(predict('0.0.0.0', {}, [child, listener(true)]).possible, [null]);
  assert.deepEqual(predict('0.0.0.0', {}, [child, listener(false)]).candidates.length, 2);
});

test('no flag helps a TCP bind(0), other addresses do not matter to it', () => {
  const all = { reuseAddress: true, reusePort: true, v6Only: false };
  const occupant: Known = { ...socket({ state: 'BOUND' }), ...all };
  assert.equal(blocksAutomatic(binder('0.0.0.0', 'both'), occupant), true);
  assert.equal(blocksAutomatic(binder('127.0.0.1', 'both'), { ...occupant, ...at('192.0.2.7') }), false);
});

test('a UDP bind(0) with SO_REUSEADDR may get a port that another has', () => {
  const occupant: Known = {
    ...socket({ protocol: 'udp', state: 'BOUND' }),
    reuseAddress: true,
    reusePort: false,
    v6Only: false,
  };
  assert.equal(blocksAutomatic(binder('0.0.0.0', 'RA', { protocol: 'udp' }), occupant), false);
  assert.equal(blocksAutomatic(binder('0.0.0.0', 'none', { protocol: 'udp' }), occupant), true);
});

test('for UDP the newest overlapping socket decides, so the order counts', () => {
  const flags = { v6Only: false, state: 'BOUND' as const };
  const a: Known = { ...socket({ ...at('127.0.0.1') }), ...flags, reuseAddress: true, reusePort: false };
  const b: Known = { ...socket(), ...flags, reuseAddress: true, reusePort: true };
  const c = binder('0.0.0.0', 'RP', { protocol: 'udp' });
  assert.equal(udpBinds(c, [b, a]), true);
  assert.equal(udpBinds(c, [a, b]), false);
});

test('where the order of UDP sockets decides, both outcomes are possible', () => {
  const a = socket({ ...at('127.0.0.1'), protocol: 'udp', state: 'BOUND', reuseAddress: true });
  const b = socket({ protocol: 'udp', state: 'BOUND', reuseAddress: true, reusePort: true });
  const sharing = { reuseAddress: false, reusePort: true };
  assert.deepEqual(predict('0.0.0.0', sharing, [a, b]).possible, ['EADDRINUSE', null]);
  assert.deepEqual(predict('0.0.0.0', sharing, [a]).possible, ['EADDRINUSE']);
});

test('the bind cache may let SO_REUSEPORT in where the rules refuse it, and nothing else', () => {
  const a = socket({ ...at('127.0.0.1'), state: 'BOUND', reuseAddress: true });
  assert.deepEqual(predict('0.0.0.0', { reuseAddress: false, reusePort: true }, [a]).possible, ['EADDRINUSE', null]);
  assert.deepEqual(predict('0.0.0.0', { reuseAddress: false }, [a]).possible, ['EADDRINUSE']);
});

test('before Linux 6.8 the cache may remember an SO_REUSEADDR that was cleared, but no listener', () => {
  const bound = socket({ state: 'BOUND' });
  assert.deepEqual(predict('0.0.0.0', {}, [bound], { kernel: '6.1.0-18-amd64' }).possible, ['EADDRINUSE', null]);
  assert.deepEqual(predict('0.0.0.0', {}, [bound], { kernel: '6.12.1' }).possible, ['EADDRINUSE']);
  assert.deepEqual(predict('0.0.0.0', {}, [socket()], { kernel: '6.1.0' }).possible, ['EADDRINUSE']);
});

test('Linux 6.1 to 6.8 may overlook ::ffff:0.0.0.0 when another mapped address is bound, and nothing else', () => {
  const wildcard = socket({ family: 6, local: { address: '::ffff:0.0.0.0', port: 3000 } });
  const onKernel = (kernel: string, address = '::ffff:127.0.0.1', occupant = wildcard) =>
    predict(address, {}, [occupant], { kernel }).possible;
  assert.deepEqual(onKernel('6.1.0-56-cloud-amd64'), ['EADDRINUSE', null]);
  assert.deepEqual(onKernel('6.8.0'), ['EADDRINUSE', null]);
  for (const kernel of ['5.15.0', '6.9.0', '6.12.117+deb12-cloud-amd64', ''])
    assert.deepEqual(onKernel(kernel), ['EADDRINUSE'], kernel);
  assert.deepEqual(onKernel('6.1.0', '127.0.0.1'), ['EADDRINUSE']);
  assert.deepEqual(onKernel('6.1.0', '::ffff:0.0.0.0'), ['EADDRINUSE']);
  assert.deepEqual(
    onKernel('6.1.0', '::ffff:127.0.0.1', socket({ family: 6, local: { address: '::', port: 3000 }, v6Only: false })),
    ['EADDRINUSE'],
  );
});

test('sockets of the other protocol and of other ports are not looked at', () => {
  const others = [
    socket({ protocol: 'udp', state: 'BOUND' }),
    socket({ local: { address: '0.0.0.0', port: port + 1 } }),
  ];
  const prediction = linux.predict(request(), facts({ sockets: others }));
  assert.deepEqual(prediction, { possible: [null], candidates: [], bystanders: [] });
});

test('the surest candidate comes first, and a listener before the rest', () => {
  const states: SocketState[] = ['TIME_WAIT', 'ESTABLISHED', 'BOUND', 'LISTEN'];
  const sockets = states.map((state) => socket({ state, mini: state === 'TIME_WAIT' }));
  const maybe = socket({ state: 'BOUND', reuseAddress: null });
  const { candidates } = predict('0.0.0.0', {}, [maybe, ...sockets]);
  assert.deepEqual(
    candidates.map((candidate) => `${candidate.conflict} ${candidate.socket.state}`),
    ['yes LISTEN', 'yes BOUND', 'yes ESTABLISHED', 'yes TIME_WAIT', 'maybe BOUND'],
  );
});

// The order of the checks: IPv4 asks for the address first, IPv6 for the privilege first.
const refused: [string, string, number, Partial<BindOptions>, Partial<typeof settings>, (string | null)[]][] = [
  ['an IPv4 address that is not here, on port 80', '203.0.113.9', 80, {}, {}, ['EADDRNOTAVAIL', 'EACCES']],
  ['an IPv6 address that is not here, on port 80', '2001:db8::9', 80, {}, {}, ['EACCES']],
  ['an IPv6 address that is not here', '2001:db8::9', port, {}, {}, ['EADDRNOTAVAIL', null]],
  ['a mapped address that is not here', '::ffff:203.0.113.9', port, {}, {}, ['EADDRNOTAVAIL', null]],
  ['a mapped address with IPV6_V6ONLY', '::ffff:127.0.0.1', port, { v6Only: true }, {}, ['EINVAL']],
  ['a privileged port with the capability', '0.0.0.0', 80, {}, { mayBindPrivileged: true }, [null]],
  ['a privileged port, capability unknown', '0.0.0.0', 80, {}, { mayBindPrivileged: null }, ['EACCES', null]],
  ['port 80 where the limit is 80', '0.0.0.0', 80, {}, { firstUnprivilegedPort: 80 }, [null]],
  ['port 80 where the limit is unknown', '0.0.0.0', 80, {}, { firstUnprivilegedPort: null }, ['EACCES', null]],
  [
    'an address that is not here with ip_nonlocal_bind',
    '203.0.113.9',
    port,
    {},
    { nonlocalBind: { v4: true, v6: false } },
    [null],
  ],
  ['any address of 127.0.0.0/8', '127.99.0.1', port, {}, {}, [null]],
  ['a multicast address, for TCP over IPv6', 'ff02::1', port, {}, {}, ['EINVAL']],
  ['a multicast address, for TCP over IPv4', '224.0.0.1', port, {}, {}, [null]],
  [
    'a link-local address that is not approved yet',
    'fe80::7%eth0',
    port,
    {},
    { localAddresses: [{ address: 'fe80::7%eth0', device: 'eth0', tentative: true }] },
    ['EADDRNOTAVAIL', null],
  ],
  ['a link-local address without a zone', 'fe80::7', port, {}, {}, ['EINVAL']],
  ['a link-local address with its zone', 'fe80::7%eth0', port, {}, {}, [null]],
  ['a link-local address with another zone', 'fe80::7%lo', port, {}, {}, ['EADDRNOTAVAIL']],
  [
    'a link-local address with a zone that names no interface',
    'fe80::8%tun9',
    port,
    {},
    {},
    ['EINVAL', 'EADDRNOTAVAIL', null],
  ],
  ['a global address with a zone that names no interface', '2001:db8::7%tun9', port, {}, {}, [null]],
  ['::1 on a device that does not have it', '::1', port, { device: 'eth0' }, {}, ['EADDRNOTAVAIL']],
  ['a global IPv6 address on another device', '2001:db8::7', port, { device: 'lo' }, {}, [null]],
  ['127.0.0.1 on a device that does not have it', '127.0.0.1', port, { device: 'eth0' }, {}, [null]],
  ['a device that is not known', '0.0.0.0', port, { device: 'tun9' }, {}, ['ENODEV', null]],
  [':: without IPv6', '::', port, {}, { ipv6: false }, ['EAFNOSUPPORT', null]],
];
for (const [title, address, wanted, options, over, possible] of refused) {
  test(`${title}: ${possible.map((outcome) => outcome ?? 'bindable').join(' or ')}`, () => {
    const prediction = linux.predict(
      request({ address, port: wanted }, options),
      facts({ settings: { ...settings, ...over } }),
    );
    assert.deepEqual(prediction.possible, possible);
  });
}

test('EACCES hides that the port is taken, and the prediction still names who has it', () => {
  const listener = socket({ local: { address: '0.0.0.0', port: 80 } });
  const prediction = linux.predict(request({ port: 80 }), facts({ sockets: [listener] }));
  assert.deepEqual(prediction.possible, ['EACCES']);
  assert.deepEqual(prediction.candidates, [{ socket: listener, conflict: 'yes' }]);
});

test('for port 0 both outcomes are possible, and nobody is blamed', () => {
  assert.deepEqual(linux.predict(request({ port: 0 }), facts()), {
    possible: [null, 'EADDRINUSE'],
    candidates: [],
    bystanders: [],
  });
});

const file = unixFile();
const unixCases: [string, string, Parameters<typeof facts>[0], (string | null)[], number][] = [
  ['nothing at the path', '/run/app', { unixFile: file }, [null], 0],
  ['a socket file whose server died', '/run/app', { unixFile: { ...file, kind: 'socket' } }, ['EADDRINUSE'], 0],
  [
    'a socket file in use',
    '/run/app',
    { unixFile: { ...file, kind: 'socket' }, sockets: [unixSocket()] },
    ['EADDRINUSE'],
    1,
  ],
  [
    'a path that is too long for an address',
    '/run/app',
    { unixFile: { ...file, creatable: false, errno: 'EINVAL' } },
    ['EINVAL'],
    0,
  ],
  [
    'a file system that may hold no sockets',
    '/run/app',
    { unixFile: { ...file, holdsSockets: null } },
    [null, 'EPERM'],
    0,
  ],
  ['a file of another kind', '/run/app', { unixFile: { ...file, kind: 'other' } }, ['EADDRINUSE'], 0],
  ['a listener whose file was removed', '/run/app', { unixFile: file, sockets: [unixSocket()] }, [null], 0],
  [
    'a directory that is not writable',
    '/run/app',
    { unixFile: { ...file, creatable: false, errno: 'EACCES' } },
    ['EACCES'],
    0,
  ],
  [
    'a directory that is not there',
    '/run/app',
    { unixFile: { ...file, creatable: false, errno: 'ENOENT' } },
    ['ENOENT'],
    0,
  ],
  ['an abstract name in use', '\0app', { sockets: [unixSocket({ path: '\0app' })] }, ['EADDRINUSE'], 1],
  [
    'an abstract name with only a connection left',
    '\0app',
    { sockets: [unixSocket({ path: '\0app', state: 'ESTABLISHED' })] },
    [null],
    0,
  ],
  ['an abstract name that nobody has', '\0app', {}, [null], 0],
];
for (const [title, path, over, possible, blamed] of unixCases) {
  test(`a Unix socket, ${title}: ${possible.map((outcome) => outcome ?? 'bindable').join(' or ')}`, () => {
    const prediction = linux.predict(request({ protocol: 'unix', path }), facts(over));
    assert.deepEqual(prediction.possible, possible);
    assert.equal(prediction.candidates.length, blamed);
  });
}
