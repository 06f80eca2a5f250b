/**
 * Damages valid samples: what is still almost right gets further into a parser than noise does.
 */
import type { Random } from '../../test/live/random.ts';

/** One input in so many is very long: a parser whose work grows with the square of its input shows there. */
const longEvery = 2_000;

const numbers = [
  '0',
  '-0',
  '-1',
  '1',
  '255',
  '256',
  '65535',
  '65536',
  '2147483647',
  '2147483648',
  '4294967295',
  '4294967296',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551616',
  '1e400',
  '0x10',
  '1_0',
  'NaN',
  '٣',
  '9'.repeat(400),
];

const fragments = [
  '\0',
  '\n',
  '\r\n',
  '\t',
  ' ',
  '   ',
  '\x1b[2J',
  '\u009b31m',
  '\u202e',
  '\u200b',
  '\u2028',
  '\ud800',
  '\udfff',
  '\u{e0041}',
  '\ufffd',
  'é',
  '😀',
  '"',
  "'",
  '\\',
  '`',
  '$(id)',
  '%',
  '%00',
  '..',
  '../',
  '/',
  '//',
  ':',
  '::',
  '[',
  ']',
  '[[[[[[[[',
  '{',
  '}',
  '(',
  ')',
  '<',
  '>',
  ',',
  '=',
  '-',
  '--',
  '@',
  '.',
  '*',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'undefined',
  'null',
  'true',
] as const;

const characterOf = (random: Random): string => String.fromCharCode(random.below(random.chance(0.7) ? 128 : 65_536));

type TextMutation = (random: Random, text: string, samples: readonly string[]) => string;

/** Both ends of a part of a text, the part at most `most` long. */
function part(random: Random, length: number, most = length): [number, number] {
  const from = random.below(length + 1);
  return [from, Math.min(length, from + random.below(most + 1))];
}

const textMutations: readonly TextMutation[] = [
  (random, text) => text.slice(0, random.below(text.length + 1)),
  (random, text) => text.slice(random.below(text.length + 1)),
  (random, text) => {
    const [from, to] = part(random, text.length, 16);
    return text.slice(0, from) + text.slice(to);
  },
  (random, text) => {
    const [from, to] = part(random, text.length, 200);
    return text.slice(0, to) + text.slice(from, to).repeat(1 + random.below(4)) + text.slice(to);
  },
  (random, text) => insert(random, text, random.pick(fragments)),
  (random, text) => insert(random, text, characterOf(random)),
  (random, text) => insert(random, text, random.pick(numbers)),
  (random, text) => {
    const at = random.below(text.length + 1);
    return text.slice(0, at) + characterOf(random) + text.slice(at + 1);
  },
  // One of the numbers in it becomes another.
  (random, text) => {
    const found = [...text.slice(0, 4_096).matchAll(/\d+/g)];
    if (found.length === 0) return text + random.pick(numbers);
    const { index, 0: digits } = random.pick(found);
    return text.slice(0, index) + random.pick(numbers) + text.slice(index + digits.length);
  },
  (random, text, samples) => {
    const other = random.pick(samples);
    return text.slice(0, random.below(text.length + 1)) + other.slice(random.below(other.length + 1));
  },
  (random, text) => (random.chance(0.5) ? text.toUpperCase() : text.toLowerCase()),
];

function insert(random: Random, text: string, piece: string): string {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + piece + text.slice(at);
}

/** A sample, damaged in up to four places. @param most The longest that its reader is ever given. */
export function damagedText(random: Random, samples: readonly string[], most: number): string {
  let text = random.pick(samples);
  for (let times = random.below(5); times > 0; times--) text = random.pick(textMutations)(random, text, samples);
  if (random.below(longEvery) === 0) text = long(random, text, most);
  return text.length > most ? text.slice(0, most) : text;
}

/** The beginning of a text, then a piece of it or a character over and over, then its end. */
function long(random: Random, text: string, most: number): string {
  const [from, to] = part(random, text.length, 16);
  const piece = random.chance(0.5) ? text.slice(from, to) || ' ' : random.pick(fragments);
  const at = random.below(text.length + 1);
  // Work that grows with the square shows at a moderate length already, and ends there.
  const size = Math.min(most, random.pick([8_192, 8_192, 65_536, 65_536, 65_536, most]));
  const room = Math.max(0, size - text.length);
  return text.slice(0, at) + piece.repeat(Math.ceil(room / piece.length)).slice(0, room) + text.slice(at);
}

const words = [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

type ByteMutation = (random: Random, bytes: Buffer, samples: readonly Buffer[]) => Buffer;

const byteMutations: readonly ByteMutation[] = [
  (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1)),
  (random, bytes) => change(bytes, (copy) => (copy[random.below(copy.length)] = random.below(256))),
  (random, bytes) =>
    change(bytes, (copy) => {
      const at = random.below(copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    }),
  // The lengths and numbers of the kernel's structures lie at even places.
  (random, bytes) =>
    change(bytes, (copy) => {
      const at = 2 * random.below(copy.length >> 1);
      const value = random.chance(0.5) ? random.pick(words) : bytes.length + random.below(9) - 4;
      if (at + 4 <= copy.length && random.chance(0.5)) copy.writeUInt32LE(value >>> 0, at);
      else if (at + 2 <= copy.length) copy.writeUInt16LE(value & 0xffff, at);
    }),
  (random, bytes) => {
    const [from, to] = part(random, bytes.length, 64);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from, to), bytes.subarray(to)]);
  },
  (random, bytes) => {
    const [from, to] = part(random, bytes.length, 32);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (random, bytes, samples) => {
    const other = random.pick(samples);
    return Buffer.concat([
      bytes.subarray(0, random.below(bytes.length + 1)),
      other.subarray(random.below(other.length + 1)),
    ]);
  },
];

function change(bytes: Buffer, how: (copy: Buffer) => void): Buffer {
  if (bytes.length === 0) return bytes;
  const copy = Buffer.from(bytes);
  how(copy);
  return copy;
}

export function damagedBytes(random: Random, samples: readonly Buffer[], most: number): Buffer {
  let bytes = random.pick(samples);
  for (let times = random.below(5); times > 0; times--) bytes = random.pick(byteMutations)(random, bytes, samples);
  if (random.below(longEvery) === 0 && bytes.length > 0) {
    const [from, to] = part(random, bytes.length, 64);
    const piece = to > from ? bytes.subarray(from, to) : bytes;
    bytes = Buffer.concat([bytes, Buffer.alloc(Math.max(0, most - bytes.length), piece)]);
  }
  return bytes.length > most ? bytes.subarray(0, most) : bytes;
}

/** An own property of that name, which only JSON.parse makes. */
const withProto = (): unknown =>
  JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}');

const nested = (random: Random): unknown => {
  let value: unknown = [];
  for (let depth = random.below(50); depth > 0; depth--) value = random.chance(0.5) ? [value] : { kind: value };
  return value;
};

const values: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => undefined,
  () => true,
  () => -0,
  () => Number.NaN,
  () => Number.POSITIVE_INFINITY,
  () => -1,
  () => 0.5,
  () => 65_536,
  () => 2 ** 31,
  () => 2 ** 53,
  () => 1e308,
  () => '',
  () => [],
  () => ({}),
  (random) => random.pick(fragments),
  (random) => random.pick(numbers),
  (random) => 'x'.repeat(2 ** random.below(18)),
  withProto,
  nested,
  (random) => Array.from({ length: random.below(70) }, () => null),
];

/** A sample of parsed JSON, damaged in up to three places. */
export function damagedValue(random: Random, samples: readonly unknown[]): unknown {
  let value = random.pick(samples);
  for (let times = random.below(4); times > 0; times--) value = damaged(random, value, samples);
  return value;
}

function damaged(random: Random, value: unknown, samples: readonly unknown[]): unknown {
  if (typeof value !== 'object' || value === null || random.chance(0.1)) {
    if (typeof value === 'string' && random.chance(0.5)) return damagedText(random, [value], 131_072);
    return random.chance(0.1) ? random.pick(samples) : random.pick(values)(random);
  }
  if (Array.isArray(value)) {
    const copy: unknown[] = [...value];
    const at = random.below(copy.length + 1);
    const way = random.below(5);
    if (way === 0) copy.splice(at, 1);
    else if (way === 1) copy.splice(at, 0, ...copy);
    else copy[at] = damaged(random, copy[at], samples);
    return copy;
  }
  const copy: Record<string, unknown> = { ...value };
  const names = Object.keys(copy);
  const name = names.length === 0 || random.chance(0.1) ? random.pick([...fragments, 'kind']) : random.pick(names);
  if (random.chance(0.15)) delete copy[name];
  else {
    const changed = damaged(random, copy[name], samples);
    Object.defineProperty(copy, name, { value: changed, enumerable: true, writable: true, configurable: true });
  }
  return copy;
}
