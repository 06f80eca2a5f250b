/**
 * Runs lines of the table with inputs that a seed decides, so that each can be made again.
 */
import { inspect } from 'node:util';
import { random } from '../../test/live/random.ts';
import type { Parser } from './parser.ts';

/** What went wrong with one input. */
export interface Failure {
  readonly parser: string;
  readonly index: number;
  readonly why: string;
  /** The input, cut to what a person reads. */
  readonly input: string;
}

export interface RunOptions {
  readonly seed: number;
  /** The number of the first input. @default 0 */
  readonly from?: number;
  readonly inputs: number;
  /** No input may take longer, in milliseconds of processor time. @default 250 */
  readonly mostMs?: number;
}

/** The first failure, or null. */
export function run(parser: Parser, { seed, from = 0, inputs, mostMs = 250 }: RunOptions): Failure | null {
  const base = Object.keys(Object.prototype).length;
  for (let index = from; index < from + inputs; index++) {
    const input = parser.make(random(seedOf(seed, parser.name, index)));
    const why = whyBad(parser, input, mostMs);
    const polluted = Object.keys(Object.prototype).length !== base ? 'Object.prototype was changed' : null;
    if (why !== null || polluted !== null)
      return { parser: parser.name, index, why: why ?? polluted ?? '', input: shown(input) };
  }
  return null;
}

function whyBad(parser: Parser, input: unknown, mostMs: number): string | null {
  let taken = Number.POSITIVE_INFINITY;
  // A busy machine or the collector makes one run slow, but not three.
  for (let attempt = 0; attempt < 3 && taken > mostMs; attempt++) {
    const began = performance.now();
    try {
      parser.check(input);
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : `It threw ${inspect(error)}`;
    }
    taken = Math.min(taken, performance.now() - began);
  }
  return taken > mostMs ? `It took ${Math.round(taken)} ms` : null;
}

/** FNV-1a over the name, so that a line keeps its inputs when the table grows. */
function seedOf(seed: number, name: string, index: number): number {
  let hash = 0x811c_9dc5 ^ seed;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x0100_0193);
  return (hash ^ Math.imul(index + 1, 0x9e37_79b1)) >>> 0;
}

function shown(input: unknown): string {
  const text = inspect(input, { depth: 6, maxStringLength: 400, maxArrayLength: 100, breakLength: 120 });
  const size = typeof input === 'string' || Buffer.isBuffer(input) ? ` (${input.length} long)` : '';
  return `${text.slice(0, 2_000)}${size}`;
}
