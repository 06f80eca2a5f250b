/**
 * The names of options, checked the same way by every function of the library.
 */
import { printable } from './text.ts';

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
        `'${printable(option.slice(0, 80))}' is not an option of ${verb}. The options are ${names.join(', ')}`,
      );
  }
}

/** A short safe name of a value of the wrong kind. */
export function nameOf(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(printable(value.slice(0, 80)));
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : typeof value;
}
