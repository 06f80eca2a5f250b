/**
 * What lsof, netstat and ps of macOS print, release by release. The columns are from the sources of network_cmds 606 to 726 and lsof-76.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseJobs } from '../../../src/ask/managers/launchd.ts';
import { decodeProcArgs } from '../../../src/os/darwin/process-info.ts';
import { parseLsof } from '../../../src/os/darwin/text/lsof.ts';
import { parseNetstat } from '../../../src/os/darwin/text/netstat.ts';
import { parsePs } from '../../../src/os/darwin/text/ps.ts';

describe('netstat', () => {
  const head = 'Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)     ';
  const releases: [name: string, columns: string, tail: string][] = [
    ['11 and 12', 'rhiwat shiwat    pid   epid state    options', '131072 131072   4242      0 0x0180 0x00000206'],
    [
      '13 and 14',
      'rhiwat  shiwat    pid   epid state  options           gencnt    flags   flags1 usscnt rtncnt fltrs',
      '131072  131072   4242      0 00180 00000206 0000000000012345 00000000 00000900      1      0 000000',
    ],
    [
      '15',
      'rxbytes      txbytes  rhiwat  shiwat    pid   epid state  options           gencnt    flags   flags1 usecnt rtncnt fltrs',
      '12           34  131072  131072   4242      0 00180 00000206 0000000000012345 00000000 00000900      1      0 000000',
    ],
    [
      '26',
      'rxbytes      txbytes  rhiwat  shiwat          process:pid    state  options           gencnt    flags   flags1 usecnt rtncnt fltrs',
      '12           34  131072  131072 My Node: web:4242  00180 00000206 0000000000012345 00000000 00000900      1      0 000000',
    ],
  ];
  for (const [name, columns, tail] of releases)
    test(`of macOS ${name}: the process that used it last, and its options`, () => {
      const [socket] = parseNetstat(
        `${head}${columns}\ntcp46      0      0  *.3000                 *.*                    LISTEN      ${tail}\n`,
      );
      assert.deepEqual(socket, {
        protocol: 'tcp',
        family: 'both',
        local: { address: '::', port: 3000 },
        remote: null,
        state: 'LISTEN',
        lastPid: 4242,
        options: 0x206,
      });
    });

  test('a UDP line has no state, and a connection has two ends', () => {
    const sockets = parseNetstat(
      `${head}rhiwat shiwat    pid   epid state    options\nudp4       0      0  *.5353                 *.*                                786896   9216    330      0 0x0100 0x00000204\ntcp6       0      0  fe80::1%lo0.3000       fe80::2%lo0.50000      TIME_WAIT   131072 131072   7777      0 0x2031 0x00000000\n`,
    );
    assert.deepEqual(
      sockets.map(({ local, remote, state, lastPid }) => [local.port, remote?.port ?? null, state, lastPid]),
      [
        [5353, null, null, 330],
        [3000, 50_000, 'TIME_WAIT', 7777],
      ],
    );
  });

  test('without a known head no column is guessed', () => {
    const [socket] = parseNetstat(
      'tcp4       0      0  127.0.0.1.3000         *.*    LISTEN  131072 131072 4242 0 0x0180 0x06\n',
    );
    assert.deepEqual([socket?.lastPid, socket?.options], [null, null]);
  });
});

test('lsof: a process with its sockets, one field a line', () => {
  const text =
    'p4242\ncnode\nR1\nu501\nf20\ntIPv6\nPTCP\nn*:3000\nTST=LISTEN\nTQR=0\nTQS=0\nf21\ntIPv6\nPTCP\nn127.0.0.1:3000->127.0.0.1:50000\nTST=ESTABLISHED\nf22\ntIPv4\nPUDP\nn*:5353\np611\ncControl\\x20Center\nu501\nf9\ntIPv4\nPTCP\nn[::1]:bad\n';
  const [node, other] = parseLsof(text);
  assert.deepEqual(
    node?.sockets.map(({ fd, local, remote, state }) => [
      fd,
      `${local.address} ${local.port}`,
      remote?.port ?? null,
      state,
    ]),
    [
      [20, ':: 3000', null, 'LISTEN'],
      [21, '::ffff:127.0.0.1 3000', 50_000, 'ESTABLISHED'],
      [22, '0.0.0.0 5353', null, null],
    ],
  );
  assert.deepEqual([other?.command, other?.sockets], ['Control Center', []]);
});

test('ps: a program whose file has blanks', () => {
  const [one] = parsePs(
    ' 4242     1  4242   501 S+   Thu Nov  6 00:40:37 2026 /Applications/My App.app/Contents/MacOS/My App\n',
  );
  assert.deepEqual(
    [one?.pid, one?.parent, one?.uid, one?.state, one?.text],
    [4242, 1, 501, 'S', '/Applications/My App.app/Contents/MacOS/My App'],
  );
  assert.equal(new Date(one?.startedAtMs ?? 0).getMinutes(), 40);
});

test('launchctl list: the jobs that run, and no applications', () => {
  const text =
    'PID\tStatus\tLabel\n-\t0\tcom.apple.idle\n611\t0\tcom.example.shop\n700\t0\tapplication.com.apple.Terminal.1.2\n';
  assert.deepEqual(parseJobs(text), [{ pid: 611, label: 'com.example.shop' }]);
});

test('the arguments and the environment of a process, also where they are cut', () => {
  const count = Buffer.alloc(4);
  count.writeInt32LE(2, 0);
  const whole = Buffer.concat([count, Buffer.from('/bin/node\0\0\0node\0\0HOME=/Users/ann\0')]);
  assert.deepEqual(decodeProcArgs(whole), { path: '/bin/node', argv: ['node', ''], environment: ['HOME=/Users/ann'] });
  assert.deepEqual(decodeProcArgs(whole.subarray(0, 18)).argv, ['no']);
  assert.deepEqual(decodeProcArgs(Buffer.alloc(2)).argv, []);
});
