import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthOf, parseList, parsePairs, parseProcessors } from '../../../../src/os/linux/proc/counters.ts';

test('counters of the three kinds of files have the names that nstat gives them', () => {
  const pairs = parsePairs('Ip: Forwarding InReceives\nIp: 2 2079\nTcp: MaxConn OutRsts\nTcp: -1 7\n');
  assert.deepEqual(
    [...pairs],
    [
      ['Ip.Forwarding', '2'],
      ['Ip.InReceives', '2079'],
      ['Tcp.OutRsts', '7'],
    ],
  );
  assert.deepEqual(
    [...parseList('Ip6InReceives                   \t12\nUdpLite6InErrors \t3\nOther \t1\n')],
    [
      ['Ip6.InReceives', '12'],
      ['UdpLite6.InErrors', '3'],
    ],
  );
});

test('conntrack counts for each processor in hexadecimal, and the sum wraps at 32 bits', () => {
  const counts = parseProcessors(
    'entries  drop early_drop\n00000007  fffffffe 00000001\n00000007  00000003 0000000a\n',
    'Conntrack',
  );
  assert.deepEqual(
    [...counts],
    [
      ['Conntrack.drop', '1'],
      ['Conntrack.early_drop', '11'],
    ],
  );
});

test('what grew is told, also where a counter wrapped or has more digits than a number', () => {
  const before = new Map([
    ['same', '5'],
    ['grew', '5'],
    ['huge', '18446744073709551610'],
    ['wrapped', '4294967290'],
    ['set back', '1000'],
  ]);
  const after = new Map([
    ['same', '5'],
    ['grew', '7'],
    ['huge', '4'],
    ['wrapped', '6'],
    ['set back', '3'],
    ['new', '9'],
  ]);
  assert.deepEqual(growthOf(before, after), { same: 0, grew: 2, huge: 10, wrapped: 12 });
});

test('lines that do not fit together are left out', () => {
  assert.deepEqual([...parsePairs('Ip: A B\nTcp: 1 2\nUdp: A\n')], []);
  assert.deepEqual([...parseProcessors('', 'Conntrack')], []);
});
