import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isNativeError } from '../../../../src/os/errors.ts';
import { dump, encodeDump, NetlinkError } from '../../../../src/os/linux/netlink/netlink.ts';
import { readSockets, stateBits } from '../../../../src/os/linux/netlink/sock-diag.ts';
import { readUnixSockets } from '../../../../src/os/linux/netlink/unix-diag.ts';
import { message, readRecording, replay, scripted } from '../recording.ts';

const NLMSG_NOOP = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_OVERRUN = 4;
const NLM_F_MULTI = 2;
const NLM_F_DUMP_INTR = 0x10;
const type = 20;

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};
const sequenceOf = (request: Buffer): number => request.readUInt32LE(8);
const asIs = (body: Buffer): string => body.toString('latin1');

test('a dump request is a header and its payload', () => {
  assert.deepEqual(
    encodeDump(type, 7, Buffer.from('abcd')),
    Buffer.from([
      ...[20, 0, 0, 0], // length
      ...[20, 0], // type
      ...[0x01, 0x03], // NLM_F_REQUEST | NLM_F_DUMP
      ...[7, 0, 0, 0], // sequence
      ...[0, 0, 0, 0], // sender: the kernel fills it in
      ...[97, 98, 99, 100],
    ]),
  );
});

test('a dump over several datagrams, with padding and no-operations, is read to its end', () => {
  const kernel = scripted((request) => {
    const sequence = sequenceOf(request);
    return [
      Buffer.concat([
        message(type, NLM_F_MULTI, sequence, Buffer.from('one')),
        message(NLMSG_NOOP, 0, sequence, Buffer.alloc(0)),
        message(type, NLM_F_MULTI, sequence, Buffer.from('three')),
      ]),
      Buffer.concat([
        message(type, NLM_F_MULTI, sequence, Buffer.from('4')),
        message(NLMSG_DONE, 2, sequence, number(0)),
      ]),
    ];
  });
  assert.deepEqual(dump(kernel, type, Buffer.alloc(0), asIs), { rows: ['one', 'three', '4'], interrupted: false });
});

test('messages of an earlier question are passed over', () => {
  const kernel = scripted((request) => [
    message(type, 0, sequenceOf(request) - 1, Buffer.from('old')),
    message(NLMSG_DONE, 0, sequenceOf(request) - 1, number(0)),
    message(type, 0, sequenceOf(request), Buffer.from('new')),
    message(NLMSG_DONE, 0, sequenceOf(request), number(0)),
  ]);
  assert.deepEqual(dump(kernel, type, Buffer.alloc(0), asIs).rows, ['new']);
});

test('an interrupted dump is read again, and nothing of the first reading is kept', () => {
  let asked = 0;
  const kernel = scripted((request) => {
    const flags = ++asked === 1 ? NLM_F_DUMP_INTR : 0;
    return [
      message(type, flags, sequenceOf(request), Buffer.from(`row of reading ${asked}`)),
      message(NLMSG_DONE, 0, sequenceOf(request), number(0)),
    ];
  });
  assert.deepEqual(dump(kernel, type, Buffer.alloc(0), asIs), { rows: ['row of reading 2'], interrupted: false });
});

test('a dump that is interrupted every time ends after five readings and says so', () => {
  let asked = 0;
  const kernel = scripted((request) => {
    asked++;
    return [message(NLMSG_DONE, NLM_F_DUMP_INTR, sequenceOf(request), number(0))];
  });
  assert.equal(dump(kernel, type, Buffer.alloc(0), asIs).interrupted, true);
  assert.equal(asked, 5);
});

test('the kernel’s errno is thrown, from an error message and from the end of a dump', () => {
  for (const kind of [NLMSG_ERROR, NLMSG_DONE]) {
    const kernel = scripted((request) => [message(kind, 0, sequenceOf(request), number(-2))]);
    assert.throws(() => dump(kernel, type, Buffer.alloc(0), asIs), { name: 'NativeError', code: 'ENOENT' });
  }
});

test('answers that cannot be read are a NetlinkError', async (t) => {
  const cases: Record<string, (sequence: number) => Buffer> = {
    'less than a header': () => Buffer.alloc(15),
    'an empty datagram, as a closed socket gives': () => Buffer.alloc(0),
    'a length of zero, which would never advance': (sequence) => {
      const bytes = message(type, 0, sequence, Buffer.alloc(8));
      bytes.writeUInt32LE(0, 0);
      return bytes;
    },
    'a length beyond the datagram': (sequence) => {
      const bytes = message(type, 0, sequence, Buffer.alloc(8));
      bytes.writeUInt32LE(0xffff_ffff, 0);
      return bytes;
    },
    'an error without its number': (sequence) => message(NLMSG_ERROR, 0, sequence, Buffer.alloc(0)),
    'an acknowledgement where a dump should be': (sequence) => message(NLMSG_ERROR, 0, sequence, number(0)),
    'an errno that is none': (sequence) => message(NLMSG_ERROR, 0, sequence, number(-5000)),
    'a part that was lost': (sequence) => message(NLMSG_OVERRUN, 0, sequence, Buffer.alloc(0)),
  };
  for (const [title, answer] of Object.entries(cases))
    await t.test(title, () => {
      const kernel = scripted((request) => [answer(sequenceOf(request))]);
      assert.throws(() => dump(kernel, type, Buffer.alloc(0), asIs), NetlinkError);
    });
});

test('an answer without an end is given up', () => {
  const kernel = scripted(function* (request) {
    const datagram = Buffer.concat(
      Array.from({ length: 2_000 }, () => message(NLMSG_NOOP, 0, sequenceOf(request), Buffer.alloc(0))),
    );
    for (;;) yield datagram;
  });
  assert.throws(() => dump(kernel, type, Buffer.alloc(0), asIs), /does not end/);
});

test('an answer to somebody else without an end is given up too', () => {
  const kernel = scripted(function* (request) {
    const datagram = Buffer.concat(
      Array.from({ length: 2_000 }, () => message(type, 0, sequenceOf(request) + 1, Buffer.alloc(4))),
    );
    for (;;) yield datagram;
  });
  assert.throws(() => dump(kernel, type, Buffer.alloc(0), asIs), /does not end/);
});

/** The parts of a recording that the next test may damage. */
const recording = readRecording('6.18.44-x64.json');
const questions = [
  (kernel: ReturnType<typeof replay>) =>
    readSockets(kernel, { protocol: 'tcp', states: stateBits.all, port: recording.port }),
  (kernel: ReturnType<typeof replay>) =>
    readSockets(kernel, { protocol: 'udp', states: stateBits.all, port: recording.port }),
  (kernel: ReturnType<typeof replay>) => readUnixSockets(kernel),
];

test('a recorded answer that was cut, flipped or repeated is read, or refused with a typed error', () => {
  const damage = fc.record({
    question: fc.integer({ min: 0, max: questions.length - 1 }),
    cutAt: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: undefined }),
    flips: fc.array(fc.tuple(fc.double({ min: 0, max: 0.9999, noNaN: true }), fc.integer({ min: 0, max: 255 })), {
      maxLength: 12,
    }),
    repeat: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(damage, ({ question, cutAt, flips, repeat }) => {
      const real = replay(recording);
      let left: Buffer[] = [];
      const kernel = {
        send: (request: Buffer) => {
          real.send(request);
          left = [];
          for (;;) {
            try {
              left.push(spoil(real.receive()));
            } catch {
              break;
            }
          }
          left = Array.from({ length: repeat }, () => left).flat();
        },
        receive: () => left.shift() ?? Buffer.alloc(0),
        close() {},
      };
      function spoil(datagram: Buffer): Buffer {
        const bytes = Buffer.from(datagram.subarray(0, Math.ceil(datagram.length * (cutAt ?? 1))));
        for (const [at, value] of flips) if (bytes.length > 0) bytes[Math.floor(at * bytes.length)] = value;
        return bytes;
      }
      try {
        const { rows } = (questions[question] as (typeof questions)[number])(kernel);
        for (const row of rows)
          if ('local' in row) {
            assert.equal(row.local.port, recording.port);
            assert.match(row.local.address, /^[0-9a-f.:]+$/);
          }
      } catch (error) {
        if (!isNativeError(error) && !(error instanceof NetlinkError)) throw error;
      }
    }),
    { numRuns: 2_000 },
  );
});

test('arbitrary bytes from the kernel are refused with a typed error', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (datagrams) => {
      const left = datagrams.map((bytes) => Buffer.from(bytes));
      const kernel = { send() {}, receive: () => left.shift() ?? Buffer.alloc(0) };
      assert.throws(
        () => readSockets(kernel, { protocol: 'tcp', states: stateBits.all, port: null }),
        (error) => isNativeError(error) || error instanceof NetlinkError,
      );
    }),
  );
});
