/**
 * What one line of the table of parsers says: how inputs are made, and what must hold for each.
 */
import { inspect, isDeepStrictEqual } from 'node:util';
import type { Shape } from '../../src/hold/wire/shape.ts';
import type { Random } from '../../test/live/random.ts';
import { damagedBytes, damagedText, damagedValue } from './mutate.ts';

export interface Parser {
  /** The file below src/ and the function, as `model/endpoint.ts parseEndpoint`. */
  readonly name: string;
  make(random: Random): unknown;
  /** Reads an input. Throws where something does not hold. */
  check(input: unknown): void;
}

/** More than one megabyte is read nowhere but in the tables of sockets. */
const mostText = 1_048_576;

interface Rules<Input, Output> {
  /** The errors that its docstring names. @default none */
  readonly throws?: (error: unknown) => boolean;
  /** What must hold besides: the type of what comes out is always checked. Throws. */
  readonly holds?: (output: Output, input: Input) => void;
  /** The longest input that its callers hand over. */
  readonly most?: number;
}

/** A parser of text. */
export function ofText<Output>(
  name: string,
  samples: readonly string[],
  read: (text: string) => Output,
  rules: Rules<string, Output> = {},
): Parser {
  const most = rules.most ?? mostText;
  return parser(name, (random) => damagedText(random, samples, most), read, rules);
}

/** A parser of bytes. */
export function ofBytes<Output>(
  name: string,
  samples: readonly Buffer[],
  read: (bytes: Buffer) => Output,
  rules: Rules<Buffer, Output> = {},
): Parser {
  const most = rules.most ?? mostText;
  return parser(name, (random) => damagedBytes(random, samples, most), read, rules);
}

/** A parser of a list of words, such as a command line. */
export function ofWords<Output>(
  name: string,
  samples: readonly (readonly string[])[],
  read: (words: string[]) => Output,
  rules: Rules<string[], Output> = {},
): Parser {
  const all = [...new Set(samples.flat())];
  // MAX_ARG_STRLEN of execve(2).
  const most = rules.most ?? 131_072;
  const make = (random: Random): string[] => {
    const words = [...random.pick(samples)];
    for (let times = random.below(4); times > 0; times--) {
      const at = random.below(words.length + 1);
      const word = damagedText(random, all, most);
      if (random.chance(0.3)) words.splice(at, 1);
      else words.splice(at, random.chance(0.5) ? 1 : 0, word);
    }
    return words;
  };
  return parser(name, make, read, rules);
}

/** A parser of what came out of JSON.parse, or of what a program passes. */
export function ofValue<Output>(
  name: string,
  samples: readonly unknown[],
  read: (value: unknown) => Output,
  rules: Rules<unknown, Output> = {},
): Parser {
  return parser(name, (random) => damagedValue(random, samples), read, rules);
}

/** A table of one kind of message: what it lets through has its fields and no others, and is let through again. */
export function ofMessage<Message>(name: string, samples: readonly unknown[], shape: Shape<Message>): Parser {
  const names = new Set(samples.flatMap((sample) => Object.keys(sample as object)));
  return ofValue(name, samples, (value) => shape(value), {
    holds: (message) => {
      if (message === undefined) return;
      for (const field of Object.keys(message as object)) must(names.has(field), `has the field ${field}`);
      const sent: unknown = JSON.parse(JSON.stringify(message));
      const again = shape(sent);
      must(
        again !== undefined && isDeepStrictEqual(JSON.parse(JSON.stringify(again)), sent),
        'does not arrive as sent',
      );
    },
  });
}

/** Whatever else makes its inputs itself. */
export function parser<Input, Output>(
  name: string,
  make: (random: Random) => Input,
  read: (input: Input) => Output,
  { throws = () => false, holds }: Rules<Input, Output> = {},
): Parser {
  return {
    name,
    make,
    check(input) {
      let output: Output;
      try {
        output = read(input as Input);
      } catch (error) {
        if (throws(error)) return;
        throw error;
      }
      wellTyped(output, 0);
      holds?.(output, input as Input);
    },
  };
}

/** @throws {Error} */
export function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(`What came out ${otherwise}`);
}

/** No number that is none, no prototype that an input chose. */
function wellTyped(value: unknown, depth: number): void {
  if (typeof value === 'number') must(!Number.isNaN(value), 'holds NaN');
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value) || depth > 8) return;
  if (value instanceof Map || value instanceof Set) {
    for (const each of value) wellTyped(each, depth + 1);
    return;
  }
  if (Array.isArray(value)) {
    // A long list has nothing new at its end.
    for (const each of value.slice(0, 100)) wellTyped(each, depth + 1);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  must(prototype === null || prototype === Object.prototype, `has the prototype ${inspect(prototype, { depth: 0 })}`);
  must(!Object.hasOwn(value, '__proto__'), 'has a field __proto__');
  for (const each of Object.values(value)) wellTyped(each, depth + 1);
}
