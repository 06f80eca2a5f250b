/**
 * Text that came from another process, made safe to print.
 */

/** C0 and C1 controls, line and paragraph separators, and what turns the direction of text: what a terminal or a reader could be misled by. */
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The text with every control character written as an escape, on one line.
 *
 * @example
 * ```ts
 * printable('a\u001b[31m'); // 'a\\u001b[31m'
 * ```
 */
export function printable(text: string): string {
  return text.replace(unsafe, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
