/**
 * The width of text in a terminal.
 */
import { shellWord } from '../model/text.ts';

/** Columns that a text takes in a terminal; escape it first. */
export function columnsOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let columns = 0;
  for (const character of text) columns += columnsOfCharacter(character);
  return columns;
}

function columnsOfCharacter(character: string): number {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (/\p{Mn}|\p{Me}/u.test(character)) return 0;
  return wide.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

/** The blocks of Unicode's EastAsianWidth.txt that are wide or full width, and emoji. */
const wide: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
];

/** Cuts a text to a number of columns; what is missing shows as `…` (or `...`). */
export function shorten(text: string, columns: number, unicode = true): string {
  if (columnsOf(text) <= columns) return text;
  const mark = unicode ? '…' : '...';
  let room = columns - mark.length;
  let short = '';
  for (const character of text) {
    room -= columnsOfCharacter(character);
    if (room < 0) break;
    short += character;
  }
  return short + mark;
}

/** Cuts from the left, for paths: the end says more than the beginning. */
export function shortenPath(path: string, columns: number, unicode = true): string {
  if (columnsOf(path) <= columns) return path;
  const mark = unicode ? '…' : '...';
  let room = columns - mark.length;
  let short = '';
  for (const character of [...path].reverse()) {
    room -= columnsOfCharacter(character);
    if (room < 0) break;
    short = character + short;
  }
  return mark + short;
}

/** Pads on the right to a number of columns. */
export function pad(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)));
}

/** Breaks a text at spaces into lines of at most `columns`; a longer word is broken where it must be. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    let rest = word;
    if (line !== '' && columnsOf(line) + 1 + columnsOf(rest) > columns) {
      lines.push(line);
      line = '';
    }
    while (columnsOf(rest) > columns) {
      const head = takeColumns(rest, columns);
      lines.push(head);
      rest = rest.slice(head.length);
    }
    line = line === '' ? rest : `${line} ${rest}`;
  }
  if (line !== '') lines.push(line);
  return lines;
}

function takeColumns(text: string, columns: number): string {
  let taken = '';
  let room = columns;
  for (const character of text) {
    room -= columnsOfCharacter(character);
    if (room < 0 && taken !== '') break;
    taken += character;
  }
  return taken;
}

/** Words as a shell would need them typed: quoted where they hold more than plain characters. Escape the result before it is printed. */
export function shellWords(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./~-]+$/.test(word) ? word : shellWord(word))).join(' ');
}
