import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeSocket, encodeFilter, readSockets, stateBits } from '../../../../src/os/linux/netlink/sock-diag.ts';
import { readUnixSockets } from '../../../../src/os/linux/netlink/unix-diag.ts';
import { readRecording, replay } from '../recording.ts';

const recording = readRecording('6.18.44-x64.json');

test('a filter for one port is "not below, not above", and jumps four bytes beyond the end to refuse', () => {
  assert.deepEqual(
    encodeFilter(3000, false),
    Buffer.from([
      ...[2, 8, 20, 0], // INET_DIAG_BC_S_GE: 8 on for yes, 20 on (4 beyond the end) for no
      ...[0, 0, 0xb8, 0x0b], // the port, in the `no` of the second half
      ...[3, 8, 12, 0], // INET_DIAG_BC_S_LE
      ...[0, 0, 0xb8, 0x0b],
    ]),
  );
});

test('a filter for automatic ports adds one operation without a value', () => {
  assert.deepEqual(encodeFilter(null, true), Buffer.from([6, 4, 8, 0]));
  assert.deepEqual(encodeFilter(3000, true).subarray(16), Buffer.from([6, 4, 8, 0]));
  assert.deepEqual(encodeFilter(3000, true).subarray(0, 4), Buffer.from([2, 8, 24, 0]));
  assert.equal(encodeFilter(null, false).length, 0);
});

test('the sockets of a recorded kernel', () => {
  const { rows } = readSockets(replay(recording), { protocol: 'tcp', states: stateBits.all, port: recording.port });
  const told = rows
    .map(({ family, state, local, remote, linux: { mini }, v6Only, direction, queue }) => ({
      family,
      state,
      local: local.address,
      remote: remote?.address ?? null,
      mini,
      v6Only,
      direction,
      queue,
    }))
    .sort((a, b) => `${a.state}${a.local}`.localeCompare(`${b.state}${b.local}`));
  const none = { mini: false, v6Only: null, direction: null, queue: null };
  const mapped = '::ffff:127.0.0.1';
  assert.deepEqual(told, [
    { ...none, family: 4, state: 'BOUND', local: '127.0.0.2', remote: null, v6Only: false },
    { ...none, family: 6, state: 'ESTABLISHED', local: '::1', remote: '::1', direction: 'incoming' },
    { ...none, family: 6, state: 'ESTABLISHED', local: mapped, remote: mapped, direction: 'incoming' },
    {
      ...none,
      family: 6,
      state: 'LISTEN',
      local: '::',
      remote: null,
      v6Only: false,
      queue: { waiting: 0, limit: 511 },
    },
    { ...none, family: 6, state: 'TIME_WAIT', local: mapped, remote: mapped, mini: true },
  ]);
  const rest = rows.find(({ linux }) => linux.mini)?.expiresInMs ?? 0;
  assert.ok(rest > 50_000 && rest <= 60_000, `TIME_WAIT lasts a minute: ${rest}`);
});

test('UDP of both families, told apart by v6Only', () => {
  const { rows } = readSockets(replay(recording), { protocol: 'udp', states: stateBits.all, port: recording.port });
  assert.deepEqual(
    rows.map(({ family, state, v6Only, queue }) => ({ family, state, v6Only, queue })),
    [
      { family: 4, state: 'BOUND', v6Only: false, queue: null },
      { family: 6, state: 'BOUND', v6Only: true, queue: null },
    ],
  );
});

test('a Unix socket with its path and queue', () => {
  const { rows } = readUnixSockets(replay(recording));
  const [only] = rows;
  assert.equal(rows.length, 1);
  assert.equal(only?.name.toString(), recording.path);
  assert.equal(only?.state, 'LISTEN');
  assert.equal(only?.type, 'stream');
  assert.deepEqual(only?.queue, { waiting: 0, limit: 511 });
  assert.notEqual(only?.file, null);
});

test('a row of another port is dropped, should a kernel not know the filter', () => {
  const key = Object.keys(recording.conversations).find((request) => request.startsWith('6000000012')) as string;
  const answers = recording.conversations[key] as string[];
  // The same answer to a question for port 3001: the request differs only in the port, of the identity and of the filter.
  const conversations = { [key.replaceAll('b80b', 'b90b').replace('0bb8', '0bb9')]: answers };
  const { rows } = readSockets(replay({ conversations }), { protocol: 'tcp', states: stateBits.all, port: 3001 });
  assert.deepEqual(rows, []);
});

test('a connection with data on its way has no direction that could be told', () => {
  const body = Buffer.alloc(72 + 4 + 216);
  body[0] = 2; // AF_INET
  body[1] = 1; // ESTABLISHED
  body.writeUInt16BE(3000, 4);
  body.writeUInt16BE(40000, 6);
  body.writeUInt16LE(4 + 216, 72);
  body.writeUInt16LE(2, 74); // INET_DIAG_INFO
  const info = body.subarray(76);
  const told = (acknowledged: number, sent: number, unacknowledged: number): string | null => {
    info.writeBigUInt64LE(BigInt(acknowledged), 120);
    info.writeBigUInt64LE(BigInt(sent), 200);
    info.writeUInt32LE(unacknowledged, 24);
    return decodeSocket(body, 'tcp').direction;
  };
  assert.equal(told(1, 0, 0), 'outgoing');
  assert.equal(told(101, 100, 0), 'outgoing');
  assert.equal(told(0, 0, 0), 'incoming');
  assert.equal(told(100, 100, 0), 'incoming');
  assert.equal(told(50, 100, 1), null);
  assert.equal(told(100, 100, 1), null);
  info[5] = 32; // TCPI_OPT_SYN_DATA
  assert.equal(told(101, 100, 0), null);
});
