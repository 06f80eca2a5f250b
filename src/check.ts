/**
 * Checks arguments. Every message names what was given and what would be right.
 */
import { inspect } from 'node:util';
import { escapeText, quoted } from './model/text.ts';

/** An error of an argument with the code that Node gives to its kind. */
export function withCode<Failure extends Error>(
  error: Failure,
  code: 'ERR_INVALID_ARG_TYPE' | 'ERR_INVALID_ARG_VALUE' | 'ERR_OUT_OF_RANGE' | 'ERR_SOCKET_BAD_PORT' | 'ENAMETOOLONG',
): Failure {
  return Object.assign(error, { code });
}

/**
 * A name that is misspelt would be an option that does nothing: a wait without its end, a hold without its grace.
 *
 * @throws {TypeError} when it is no object, or has a name that is not among these.
 */
export function checkNames(verb: string, options: unknown, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw withCode(
      new TypeError(`${verb} takes an object with options, not ${nameOf(options)}`),
      'ERR_INVALID_ARG_TYPE',
    );
  for (const option of Object.keys(options)) {
    if (!names.includes(option))
      throw withCode(
        new TypeError(
          `'${escapeText(option.slice(0, 80))}' is not an option of ${verb}. The options are ${names.join(', ')}`,
        ),
        'ERR_INVALID_ARG_VALUE',
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
    throw withCode(
      new TypeError(`signal is an AbortSignal, such as that of an AbortController, not ${show(value)}`),
      'ERR_INVALID_ARG_TYPE',
    );
}

/** @throws {TypeError} */
export function checkFlag(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean')
    throw withCode(new TypeError(`${name} is true or false, not ${show(value)}`), 'ERR_INVALID_ARG_TYPE');
}

/** As Node reads it: a number, also as text; 511 for none and for 0; a negative one is the longest the system has. @throws {RangeError} */
export function backlogNumber(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (!number && !Number.isNaN(number)) return 511;
  if (typeof number === 'number' && (number | 0) === number) return number;
  throw withCode(new RangeError(`A backlog is a whole number, not ${show(value)}`), 'ERR_OUT_OF_RANGE');
}

/** @throws {RangeError} */
export function milliseconds(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  // setTimeout fires at once for anything longer.
  if (typeof value === 'number' && value >= 0 && value <= 2 ** 31 - 1) return value;
  throw withCode(
    new RangeError(`${name} is a number of milliseconds from 0 to ${2 ** 31 - 1}, not ${show(value)}`),
    'ERR_OUT_OF_RANGE',
  );
}

/** @throws {RangeError} */
export function portNumber(value: unknown): number {
  const port = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw withCode(
    new RangeError(`A port is a whole number from 0 to 65535, 0 for any free one, not ${show(value)}`),
    'ERR_SOCKET_BAD_PORT',
  );
}

/** One short line of any value. */
export function show(value: unknown): string {
  const text = escapeText(inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY }));
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
