/**
 * Checks arguments. Every message names what was given and what would be right.
 */
import { inspect } from 'node:util';
import { escapeText, quoted } from './model/text.ts';

/**
 * A name that is misspelt would be an option that does nothing: a wait without its end, a hold without its grace.
 *
 * @throws {TypeError} when it is no object, or has a name that is not among these.
 */
export function checkOptions(verb: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new TypeError(`${verb} takes an object with options, not ${nameOf(options)}`);
  for (const option of Object.keys(options)) {
    if (!names.includes(option))
      throw new TypeError(
        `'${escapeText(option.slice(0, 80))}' is not an option of ${verb}. The options are ${names.join(', ')}`,
      );
  }
}

/** A short safe name of a value of the wrong kind. */
export function nameOf(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}

/** @throws {TypeError} */
export function checkSignal(value: unknown): void {
  // By its shape: test environments bring a class of their own.
  const fits = typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;
  if (value !== undefined && !fits)
    throw new TypeError(`signal is an AbortSignal, such as that of an AbortController, not ${show(value)}`);
}

/** @throws {TypeError} */
export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw new TypeError(`${name} is true or false, not ${show(value)}`);
}

/** @throws {RangeError} */
export function backlogNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 0x7fffffff) return value;
  throw new RangeError(`A backlog is a whole number from 1, not ${show(value)}`);
}

/** @throws {RangeError} */
export function milliseconds(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  // setTimeout fires at once for anything longer.
  if (typeof value === 'number' && value >= 0 && value <= 2 ** 31 - 1) return value;
  throw new RangeError(`${name} is a number of milliseconds from 0 to ${2 ** 31 - 1}, not ${show(value)}`);
}

/** @throws {RangeError} */
export function portNumber(value: unknown): number {
  const port = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value;
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new RangeError(`A port is a whole number from 0 to 65535, 0 for any free one, not ${show(value)}`);
}

/** One short line of any value. */
export function show(value: unknown): string {
  const text = escapeText(inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY }));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
