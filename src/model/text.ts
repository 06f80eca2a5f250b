/**
 * Text that came from another process, made safe to print: the one rule of what a terminal, or a reader, could be misled by.
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

/**
 * A text in quotes, cut to `most` characters, with nothing in it that a terminal would act on: for what was typed or passed.
 *
 * @example
 * ```ts
 * quoted('3000-'); // '"3000-"'
 * ```
 */
export function quoted(text: string, most = 80): string {
  return escapeText(JSON.stringify(text.length > most ? `${text.slice(0, most - 3)}...` : text));
}

/** A document of JSON that is as harmless: what JSON allows and a terminal would act on is spelled `\\u….`, which every parser reads back. */
export function escapeJson(json: string): string {
  return json.replace(dangerous, (character) =>
    // Between values; inside of them JSON itself spells it out.
    character === '\n'
      ? character
      : [...Array(character.length).keys()]
          .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
          .join(''),
  );
}

/**
 * A word as a shell takes it. What a terminal would act on is spelled as bash, zsh, ksh and POSIX.1-2024 read it back: a pasted line must name
 * the same file.
 */
export function shellWord(text: string): string {
  // zsh replaces a word that begins with `=` by the path of a command.
  if (/^[\w@%+:,./-][\w@%+=:,./-]*$/.test(text)) return text;
  if (text.search(dangerous) < 0) return `'${text.replaceAll("'", `'\\''`)}'`;
  // By the number of the character: `\\xad` would be a byte.
  const spelled = text.replace(/['\\]/g, '\\$&').replace(dangerous, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, '0')}` : `\\U${code.toString(16).padStart(8, '0')}`;
  });
  return `$'${spelled}'`;
}
