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

/**
 * Text for a terminal: made harmless, measured, shortened and wrapped.
 */

/** Control characters, and the marks that reorder or hide what stands beside them (Unicode bidi controls, zero-width characters, line separators). */
const dangerous =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|[\ud800-\udfff]/gu;

/**
 * Makes text that came from elsewhere harmless: everything a terminal would act on is spelled out.
 *
 * @example
 * ```ts
 * escapeText('a\x1b[2Jb'); // 'a\\x1b[2Jb'
 * ```
 */
export function escapeText(text: string): string {
  return text.replace(dangerous, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    if (character === '\r') return '\\r';
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\u{${code.toString(16)}}`;
  });
}
