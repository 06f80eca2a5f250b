/** What is typed after `rebind hold`, as values. */
import { readHeldEndpoint } from '../hold/settings.ts';
import { type ParsedEndpoint, parseEndpoint } from '../model/endpoint.ts';
import { quoted } from '../model/text.ts';
import type { Invocation } from './command.ts';
import { parseMilliseconds } from './time.ts';
import { UsageError } from './usage.ts';

/** @throws {UsageError} */
export function endpoint(word: string): ParsedEndpoint {
  return read(word, parseEndpoint);
}

/** As `endpoint`, and port 0 for any free one. @throws {UsageError} */
export function heldEndpoint(word: string): ParsedEndpoint {
  return read(word, readHeldEndpoint);
}

function read(word: string, parse: (word: string) => ParsedEndpoint): ParsedEndpoint {
  try {
    return parse(word);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** @throws {UsageError} */
export function port(invocation: Invocation, name: string): number | undefined {
  const text = invocation.value(name);
  if (text === undefined) return undefined;
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new UsageError(`--${name} needs a port from 0 to 65535, not ${quoted(text)}`);
  return Number(text);
}

/** Undefined where it was not typed: what holds then is said in one place, hold/settings.ts. */
export function time(invocation: Invocation, name: string, also = ''): number | undefined {
  const text = invocation.value(name);
  return text === undefined ? undefined : parseMilliseconds(text, name, also);
}
