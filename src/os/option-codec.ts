/**
 * How a socket option's value looks to a program, and how it looks to the kernel. Values carry their unit in their name.
 */

import { show } from '../check.ts';
import { littleEndian } from './byte-order.ts';

/** One way to write a value. `decode` takes what getsockopt(2) gave, which may be shorter than `size`. */
export interface Codec<Value> {
  /** Bytes to ask for. */
  readonly size: number;
  /** What a right value is, for messages. */
  readonly expects: string;
  encode(value: unknown): Buffer | null;
  decode(bytes: Buffer): Value;
}

/** The value that a codec's option has. */
export type ValueOf<C> = C extends Codec<infer Value> ? Value : never;

/** The `index`-th int of what the kernel gave. */
export function intAt(bytes: Buffer, index = 0): number {
  const at = index * 4;
  if (at + 4 > bytes.length) {
    // What a kernel does not give is 0.
    const whole = Buffer.alloc(4);
    bytes.subarray(at).copy(whole);
    return intAt(whole);
  }
  return littleEndian ? bytes.readInt32LE(at) : bytes.readInt32BE(at);
}

export function ints(...values: number[]): Buffer {
  return Buffer.from(new Int32Array(values).buffer);
}

export const flag: Codec<boolean> = {
  size: 4,
  expects: 'true or false',
  encode: (value) => (typeof value === 'boolean' ? ints(value ? 1 : 0) : null),
  // Some options answer with one byte (IP_FREEBIND on old kernels).
  decode: (bytes) => bytes.some((byte) => byte !== 0),
};

/** A count or a number of the kernel's. */
export function number(least: number, most: number): Codec<number> {
  return {
    size: 4,
    expects: `a whole number from ${least} to ${most}`,
    encode: (value) => (isWhole(value, least, most) ? ints(value | 0) : null),
    decode: (bytes) => (most > 0x7fffffff ? intAt(bytes) >>> 0 : intAt(bytes)),
  };
}

/** A number with its unit, such as `{ ms: 5000 }`. */
export function quantity<const Unit extends string>(
  unit: Unit,
  least: number,
  most: number,
): Codec<{ readonly [unit in Unit]: number }> {
  return {
    size: 4,
    expects: `{ ${unit}: a whole number from ${least} to ${most} }`,
    encode: (value) => {
      const amount = only(value, unit);
      return isWhole(amount, least, most) ? ints(amount | 0) : null;
    },
    decode: (bytes) =>
      ({ [unit]: most > 0x7fffffff ? intAt(bytes) >>> 0 : intAt(bytes) }) as { [unit in Unit]: number },
  };
}

/** A rate in 32 bits, of which the highest stands for none: null (socket(7), SO_MAX_PACING_RATE). */
export const rate: Codec<{ readonly bytesPerSecond: number } | null> = {
  size: 4,
  expects: 'null, or { bytesPerSecond: a whole number from 1 to 4294967294 }',
  encode: (value) => {
    if (value === null) return ints(-1);
    const most = only(value, 'bytesPerSecond');
    return isWhole(most, 1, 0xfffffffe) ? ints(most | 0) : null;
  },
  decode: (bytes) => (intAt(bytes) === -1 ? null : { bytesPerSecond: intAt(bytes) >>> 0 }),
};

/** SO_LINGER: null closes in the background, `{ seconds: 0 }` resets (socket(7), struct linger). */
export const linger: Codec<{ readonly seconds: number } | null> = {
  size: 8,
  expects: 'null, or { seconds: a whole number from 0 to 65535 }',
  encode: (value) => {
    if (value === null) return ints(0, 0);
    const seconds = only(value, 'seconds');
    return isWhole(seconds, 0, 65_535) ? ints(1, seconds) : null;
  },
  decode: (bytes) => (intAt(bytes) === 0 ? null : { seconds: intAt(bytes, 1) }),
};

/** A timeout as struct timeval; null waits for ever. */
export const timeval: Codec<{ readonly ms: number } | null> = {
  size: 16,
  expects: 'null, or { ms: a number from 1 to 2147483647 }',
  encode: (value) => {
    const ms = value === null ? 0 : only(value, 'ms');
    if (value !== null && !isWhole(ms, 1, 0x7fffffff)) return null;
    return timevalOf(ms as number);
  },
  decode: (bytes) => {
    const ms = Number(word(bytes, 0)) * 1000 + Number(word(bytes, bytes.length >> 1)) / 1000;
    return ms === 0 ? null : { ms };
  },
};

/** A name in bytes that a NUL ends; null for none. */
export function name(size: number, expects: string): Codec<string | null> {
  return {
    size,
    expects,
    encode: (value) => {
      if (value === null) return Buffer.alloc(1);
      const ok =
        typeof value === 'string' && value.length > 0 && Buffer.byteLength(value) < size && !value.includes('\0');
      return ok ? Buffer.from(`${value}\0`) : null;
    },
    decode: (bytes) => {
      const end = bytes.indexOf(0);
      const text = bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
      return text === '' ? null : text;
    },
  };
}

/** The process at the other end of a Unix socket. */
export const credentials: Codec<{ readonly pid: number; readonly uid: number; readonly gid: number }> = {
  size: 12,
  expects: 'nothing: it can only be read',
  encode: () => null,
  decode: (bytes) => ({ pid: intAt(bytes), uid: intAt(bytes, 1), gid: intAt(bytes, 2) }),
};

/** A number of 64 bits in 16 hex digits, as sock_diag names sockets. */
export const cookie: Codec<string> = {
  size: 8,
  expects: 'nothing: it can only be read',
  encode: () => null,
  decode: (bytes) => word(bytes, 0).toString(16).padStart(16, '0'),
};

/** The lowest and highest automatic port of this socket; null for the system's own (IP_LOCAL_PORT_RANGE, ip(7)). */
export const portRange: Codec<readonly [number, number] | null> = {
  size: 4,
  expects: 'null, or [lowest port, highest port]',
  encode: (value) => {
    if (value === null) return ints(0);
    if (!Array.isArray(value) || value.length !== 2) return null;
    const [low, high] = value as [unknown, unknown];
    return isWhole(low, 1, 65_535) && isWhole(high, low, 65_535) ? ints((high << 16) | low) : null;
  },
  decode: (bytes) => {
    const both = intAt(bytes) >>> 0;
    return both === 0 ? null : [both & 0xffff, both >>> 16];
  },
};

/** @throws {TypeError} with what would be right. */
export function encodeOption(option: string, codec: Codec<unknown>, value: unknown): Buffer {
  const bytes = codec.encode(value);
  if (bytes !== null) return bytes;
  const message = `${option} takes ${codec.expects}, not ${show(value)}`;
  throw sameKind(codec, value) ? new RangeError(message) : new TypeError(message);
}

/** A value of the right type with a wrong number in it is out of range; everything else has the wrong type. */
function sameKind(codec: Codec<unknown>, value: unknown): boolean {
  if (typeof value === 'number') return codec.expects.startsWith('a whole number');
  const inner = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  return (
    inner.length === 1 &&
    inner.every(([unit, amount]) => codec.expects.includes(`{ ${unit}:`) && typeof amount === 'number')
  );
}

function only(value: unknown, unit: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === unit ? (value as Record<string, unknown>)[unit] : undefined;
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most;
}

const narrow = ['arm', 'ia32', 'mipsel'].includes(process.arch);

function timevalOf(ms: number): Buffer {
  const seconds = Math.floor(ms / 1000);
  const micros = (ms % 1000) * 1000;
  if (narrow) return ints(seconds, micros);
  return Buffer.from(new BigInt64Array([BigInt(seconds), BigInt(micros)]).buffer);
}

function word(bytes: Buffer, at: number): bigint {
  if (bytes.length - at < 8) return BigInt(intAt(bytes, at >> 2));
  return littleEndian ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
}
