/** What is typed after `rebind hold`, as values. */
import { type ParsedEndpoint, parseEndpoint } from '../model/endpoint.ts';
import type { Invocation } from './command.ts';
import { parseMilliseconds } from './time.ts';
import { UsageError } from './usage.ts';

/** @throws {UsageError} */
export function endpoint(word: string): ParsedEndpoint {
  try {
    return parseEndpoint(word);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

/** Undefined where it was not typed: what holds then is said in one place, hold/settings.ts. */
export function time(invocation: Invocation, name: string): number | undefined {
  const text = invocation.value(name);
  return text === undefined ? undefined : parseMilliseconds(text, name);
}
