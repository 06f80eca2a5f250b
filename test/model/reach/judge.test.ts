/**
 * Evidence in, verdict out: what the judge makes of situations that a real machine does not bring about on demand, and of evidence that
 * proves less than it seems to.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { attempt, condition, connected, evidence, judged, named, port, socket } from './evidence.ts';

const refused = attempt({ errno: 'ECONNREFUSED', by: 'later', counters: { ...attempt().counters, 'Tcp.OutRsts': 1 } });
const silent = attempt({ errno: 'ETIMEDOUT' });
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

describe('a refusal on this machine', () => {
  test('without a socket is that nothing listens', () => {
    const report = judged([evidence({ attempt: refused })]);
    assert.deepEqual(
      [report.verdict?.cause, report.reachable, report.errno, report.failsAt],
      ['nothing-listens', false, 'ECONNREFUSED', 'listener'],
    );
  });

  test('of which the kernel sent no reset came from elsewhere: no story', () => {
    const forged = { ...refused, counters: { ...refused.counters, 'Tcp.OutRsts': 0 } };
    const report = judged([evidence({ attempt: forged })]);
    assert.notEqual(report.verdict?.cause, 'nothing-listens');
    assert.equal(report.reachable, false);
  });

  test('with a packet that was not delivered is never said to be the kernel', () => {
    const lost = { ...refused, counters: { ...refused.counters, 'Ip.InDelivers': 2 } };
    assert.notEqual(judged([evidence({ attempt: lost })]).verdict?.cause, 'nothing-listens');
  });

  test('is not proved where the look-up could not be made', () => {
    const report = judged([evidence({ attempt: refused, before: { lookup: null, sockets: null } })]);
    assert.deepEqual([report.verdict, report.reachable], [null, false]);
  });

  test('is foreseen without a connection', () => {
    const report = judged([evidence()]);
    assert.deepEqual(
      [report.verdict?.cause, report.reachable, report.errno],
      ['nothing-listens', false, 'ECONNREFUSED'],
    );
    assert.equal(report.addresses[0]?.outcome, 'not-tried');
  });

  const listeners = [
    ['other-family', '127.0.0.1', socket({ family: 6, local: { address: '::1', port } })],
    ['other-family', '127.0.0.1', socket({ family: 6, local: { address: '::', port }, v6Only: true })],
    ['other-family', '::1', socket()],
    ['loopback-only', '10.0.0.5', socket()],
    ['loopback-only', '10.0.0.5', socket({ family: 6, local: { address: '::1', port } })],
    ['other-address', '127.0.0.2', socket()],
    ['other-address', '127.0.0.1', socket({ local: { address: '10.0.0.5', port } })],
    ['other-device', '10.0.0.5', socket({ local: { address: '0.0.0.0', port }, device: 'eth1' })],
    ['bound-not-listening', '127.0.0.1', socket({ state: 'BOUND', queue: null })],
  ] as const;
  for (const [cause, address, one] of listeners)
    test(`of ${address} with ${one.state} on ${one.local.address}${one.device === null ? '' : ` of ${one.device}`} is ${cause}`, () => {
      const endpoint = { protocol: 'tcp', address, port } as const;
      const report = judged([evidence({ endpoint, attempt: refused, before: { sockets: [one] } })]);
      assert.equal(report.verdict?.cause, cause);
      assert.deepEqual(report.also, []);
    });
});

describe('a listener that would get it', () => {
  const waiting = socket({ queue: { waiting: 1, limit: 511 } });
  const untaken = (over: Parameters<typeof condition>[0], holder: Parameters<typeof condition>[1] = {}) =>
    judged([
      evidence({
        attempt: attempt({ sockets: [waiting] }),
        before: { lookup: { found: socket() }, sockets: [socket()] },
        connected: connected({ mirror: { state: 'ESTABLISHED', inode: 0 } }),
        conditions: [{ inode: 7, unseen: false, holders: [condition(over, holder)] }],
      }),
    ]);
  const rows = [
    ['stopped', {}, { processState: 'T' }],
    ['frozen', { frozen: true }, {}],
    ['descriptor-limit', { descriptors: { open: 24, limit: 24 } }, {}],
    ['loop-stuck', { busy: 1 }, { processState: 'R' }],
    ['never-accepts', { waits: false }, {}],
    [
      'busy-with-another-client',
      { waits: false, serves: { descriptor: 4, peer: { address: '127.0.0.1', port: 40_000 }, call: 'read' } },
      {},
    ],
    ['not-accepted', { waits: null, busy: null }, {}],
  ] as const;
  for (const [cause, over, holder] of rows)
    test(`is ${cause} by what its process does`, () => {
      const report = untaken(over, holder);
      assert.deepEqual(
        [report.verdict?.cause, report.also, report.reachable, report.errno],
        [cause, [], false, 'ETIMEDOUT'],
      );
    });

  test('has a process that nobody can see: only that it is not accepted', () => {
    const report = judged([
      evidence({
        attempt: attempt({ sockets: [waiting] }),
        before: { lookup: { found: socket() }, sockets: [socket()] },
        connected: connected({ mirror: { state: 'ESTABLISHED', inode: 0 } }),
        conditions: [{ inode: 7, unseen: true, holders: [] }],
      }),
    ]);
    assert.equal(report.verdict?.cause, 'not-accepted');
    assert.match(report.verdict?.sentence ?? '', /^A process of uid 1000 /);
  });

  test('of two processes one runs: it is not called suspended', () => {
    const report = judged([
      evidence({
        attempt: attempt({ sockets: [waiting] }),
        before: { lookup: { found: socket() }, sockets: [socket()] },
        connected: connected({ mirror: { state: 'ESTABLISHED', inode: 0 } }),
        conditions: [
          { inode: 7, unseen: false, holders: [condition({}, { processState: 'T' }), condition({}, { pid: 42 })] },
        ],
      }),
    ]);
    assert.equal(report.verdict?.cause, 'not-accepted');
  });

  test('is closed by the server after all: what is left of the connection has no inode either', () => {
    const report = judged([
      evidence({
        attempt: attempt({ sockets: [socket()] }),
        before: { lookup: { found: socket() }, sockets: [socket()] },
        connected: connected({
          mirror: { state: 'FIN_WAIT2', inode: 0 },
          first: { kind: 'end', bytes: '', elapsedMs: 1 },
        }),
        conditions: [{ inode: 7, unseen: false, holders: [condition()] }],
      }),
    ]);
    assert.deepEqual([report.verdict?.cause, report.errno], ['closes-at-once', 'ECONNRESET']);
  });

  test('is full: it is not connected to, and a client would hang', () => {
    const full = socket({ queue: { waiting: 2, limit: 1 } });
    const report = judged([
      evidence({
        before: { lookup: { found: full }, sockets: [full] },
        conditions: [{ inode: 7, unseen: false, holders: [condition({ waits: false })] }],
      }),
    ]);
    assert.deepEqual(
      [report.verdict?.cause, report.errno, report.addresses[0]?.outcome],
      ['queue-full', 'ETIMEDOUT', 'not-tried'],
    );
    assert.deepEqual(
      report.also.map(({ cause }) => cause),
      ['never-accepts'],
    );
  });

  test('drops without a reason that is counted: a filter', () => {
    assert.equal(dropped({}).verdict?.cause, 'socket-filter');
  });

  for (const [cause, counter] of [
    ['tcp-md5', 'TcpExt.TCPMD5NotFound'],
    ['min-ttl', 'TcpExt.TCPMinTTLDrop'],
    ['syn-backlog', 'TcpExt.TCPReqQFullDrop'],
  ] as const)
    test(`drops, and the kernel counts ${counter}: ${cause}`, () => {
      assert.equal(dropped({ [counter]: 1 }).verdict?.cause, cause);
    });

  test('drops while two reasons of the machine grew: neither is told', () => {
    const report = dropped({ 'TcpExt.TCPMD5NotFound': 1, 'TcpExt.TCPMinTTLDrop': 1 });
    assert.deepEqual([report.verdict, report.reachable], [null, false]);
  });

  test('dropped nothing itself: the counters of others prove nothing', () => {
    const report = dropped({ 'TcpExt.TCPMD5NotFound': 5 }, 0);
    assert.notEqual(report.verdict?.cause, 'tcp-md5');
  });

  test('is half of a group: some clients get no answer, though we got one', () => {
    const [alive, dead] = [socket({ inode: 7 }), socket({ inode: 8, queue: { waiting: 3, limit: 511 } })];
    const report = judged([
      evidence({
        attempt: attempt({ sockets: [alive, dead] }),
        before: { lookup: { found: alive }, sockets: [alive, dead] },
        connected: connected(),
        conditions: [
          { inode: 7, unseen: false, holders: [condition()] },
          { inode: 8, unseen: false, holders: [condition({}, { pid: 42, processState: 'T' })] },
        ],
      }),
    ]);
    assert.deepEqual([report.verdict?.cause, report.reachable], ['half-dead-group', false]);
  });

  function dropped(counters: Readonly<Record<string, number>>, drops = 1) {
    return judged([
      evidence({
        attempt: attempt({
          errno: 'ETIMEDOUT',
          counters: { ...attempt().counters, ...counters },
          sockets: [socket({ drops })],
        }),
        before: { lookup: { found: socket() }, sockets: [socket()] },
        conditions: [{ inode: 7, unseen: false, holders: [condition()] }],
      }),
    ]);
  }
});

describe('an answer', () => {
  const asked = (bytes: string, target: 'http' | 'tls', tls: 'spoke' | null = null) =>
    judged(
      [
        evidence({
          attempt: attempt({ sockets: [socket()] }),
          before: { lookup: { found: socket() }, sockets: [socket()] },
          connected: connected({
            request: { kind: bytes === '' ? 'end' : 'bytes', bytes: base64(bytes), elapsedMs: 2 },
            tls,
          }),
          conditions: [{ inode: 7, unseen: false, holders: [condition()] }],
        }),
      ],
      { request: true, target: { protocol: 'tcp', host: '127.0.0.1', port, speaks: target } },
    );

  test('of HTTP is what was asked for, whatever its status', () => {
    for (const status of ['200 OK', '404 Not Found', '503 Service Unavailable']) {
      const report = asked(`HTTP/1.1 ${status}\r\n\r\n`, 'http');
      assert.deepEqual([report.reachable, report.verdict, report.addresses[0]?.outcome], [true, null, 'answered']);
    }
  });

  for (const [spoken, bytes, target] of [
    ['tls', '\x15\x03\x01\x00\x02\x02\x46', 'http'],
    ['http', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'tls'],
    ['ssh', 'SSH-2.0-OpenSSH_9.6\r\n', 'http'],
    ['mysql', '\x4a\x00\x00\x00\x0a8.0.36\x00', 'http'],
    ['redis', '-ERR unknown command\r\n', 'http'],
    ['http2', '\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03', 'http'],
  ] as const)
    test(`of ${spoken} to ${target} is the wrong protocol`, () => {
      const report = asked(bytes, target);
      assert.equal(report.verdict?.cause, 'wrong-protocol');
      assert.equal(report.verdict?.args['spoken' as never], spoken);
    });

  test('in bytes that belong to no protocol is an answer, and no story', () => {
    const report = asked('\x00\x01\x02\x03\xff\xfe', 'http');
    assert.deepEqual([report.reachable, report.verdict], [true, null]);
  });

  test('that ends at once, where a second look spoke TLS', () => {
    assert.equal(asked('', 'http', 'spoke').verdict?.cause, 'wrong-protocol');
    assert.equal(asked('', 'http').verdict?.cause, 'closes-at-once');
  });
});

describe('a name', () => {
  const target = { protocol: 'tcp', host: 'app.example', port, speaks: null } as const;
  test('without an address is what failed, and who was asked', () => {
    const silentServer = named({ errno: 'EAI_AGAIN', servers: [{ address: '10.0.0.53', says: 'silent' }] });
    assert.equal(judged([], { target, name: silentServer }).verdict?.cause, 'resolver-silent');
    const gone = named({ errno: 'ENOTFOUND', servers: [{ address: '10.0.0.53', says: 'answers' }] });
    const report = judged([], { target, name: gone });
    assert.deepEqual([report.verdict?.cause, report.reachable, report.errno], ['name-not-found', false, 'ENOTFOUND']);
  });

  test('that nobody is known to have failed at is not explained', () => {
    const report = judged([], { target, name: named({ errno: 'EAI_AGAIN' }) });
    assert.deepEqual([report.verdict, report.reachable], [null, null]);
  });

  test('that is a URL, or has a port, is no name', () => {
    for (const host of ['http://app', 'app:8540', '[::1]', 'a/b'])
      assert.equal(
        judged([], { target: { ...target, host }, name: named({ host, errno: 'ENOTFOUND' }) }).verdict?.cause,
        'not-a-name',
      );
  });

  const slow = { ...evidence(), endpoint: { protocol: 'tcp', address: '10.0.0.5', port }, ours: false } as const;
  const works = { ...slow, attempt: attempt({ elapsedMs: 1_000 }), connected: connected({ mirror: null }) };
  const dead = {
    ...slow,
    endpoint: { protocol: 'tcp', address: '2001:db8::5', port },
    before: {
      ...slow.before,
      dryRun: { errno: 'ENETUNREACH', source: null },
      route: { errno: 'ENETUNREACH', type: null, device: null, gateway: null, source: null, prefix: null },
    },
  } as const;
  const both = named({
    addresses: [
      { address: '10.0.0.5', from: 'dns' },
      { address: '2001:db8::5', from: 'dns' },
    ],
  });

  test('whose slow address is given up by Node, before one that fails', () => {
    const report = judged([works, dead], { target, name: both });
    assert.deepEqual([report.verdict?.cause, report.reachable], ['happy-eyeballs-250', true]);
  });

  test('whose fast address is used, before one that fails: nothing to say', () => {
    const report = judged([{ ...works, attempt: attempt({ elapsedMs: 20 }) }, dead], { target, name: both });
    assert.deepEqual([report.verdict, report.reachable], [null, true]);
  });

  test('whose address in the hosts file does not answer, where DNS says another one', () => {
    const name = named({
      addresses: [{ address: '127.0.0.1', from: 'hosts' }],
      hosts: [{ line: 7, address: '127.0.0.1' }],
      dns: { errno: null, addresses: ['192.0.2.10'] },
    });
    const report = judged([evidence({ attempt: refused })], { target, name });
    assert.equal(report.verdict?.cause, 'hosts-file-overrides');
    assert.ok(report.also.some(({ cause }) => cause === 'nothing-listens'));
  });
});

describe('several addresses', () => {
  test('are told by the one that got furthest', () => {
    const report = judged(
      [
        evidence({ endpoint: { protocol: 'tcp', address: '::1', port }, attempt: refused }),
        evidence({
          attempt: attempt({ sockets: [socket()] }),
          before: { lookup: { found: socket() }, sockets: [socket()] },
          connected: connected({ mirror: { state: 'ESTABLISHED', inode: 0 } }),
          conditions: [{ inode: 7, unseen: false, holders: [condition({}, { processState: 'T' })] }],
        }),
      ],
      { target: { protocol: 'tcp', host: 'localhost', port, speaks: null } },
    );
    assert.equal(report.verdict?.cause, 'stopped');
    assert.deepEqual(
      report.addresses.map(({ verdict }) => verdict?.cause),
      ['nothing-listens', 'stopped'],
    );
  });
});

test('silence on the way to another host, where nothing was seen, is no answer and no story about this machine', () => {
  const report = judged([
    evidence({
      endpoint: { protocol: 'tcp', address: '10.0.0.5', port },
      ours: false,
      attempt: silent,
      again: silent,
      before: {
        lookup: null,
        sockets: null,
        route: { errno: null, type: 'unicast', device: 'eth0', gateway: '10.0.0.1', source: '10.0.0.2', prefix: null },
      },
    }),
  ]);
  assert.equal(report.reachable, false);
  assert.equal(report.errno, 'ETIMEDOUT');
  assert.doesNotMatch(report.verdict?.cause ?? '', /^own-|listens|queue/);
});
