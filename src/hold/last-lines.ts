/**
 * The last lines that a command wrote to stderr, while they pass through untouched.
 */
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';

const mostLines = 20;
/** Of one line; a program may print binary data without any line end. */
const mostCharacters = 2_000;

export class Tail {
  #lines: string[] = [];
  #rest = '';

  constructor(from: Readable | null, to: NodeJS.WritableStream | null) {
    if (from === null || to === null) return;
    from.on('data', (chunk: Buffer) => {
      to.write(chunk);
      this.#keep(chunk.toString('utf8'));
    });
    // It ends with the program; a broken pipe at the other side is the writer's business.
    from.on('error', () => {});
  }

  /** Without escape sequences and control characters, so that they can be shown. */
  get lines(): readonly string[] {
    const all = this.#rest === '' ? this.#lines : [...this.#lines, this.#rest];
    return all.slice(-mostLines).map(printable);
  }

  #keep(text: string): void {
    const parts = (this.#rest + text).split('\n');
    this.#rest = (parts.pop() ?? '').slice(-mostCharacters);
    this.#lines.push(...parts.map((part) => part.slice(0, mostCharacters)));
    if (this.#lines.length > mostLines) this.#lines = this.#lines.slice(-mostLines);
  }
}

function printable(line: string): string {
  return stripVTControlCharacters(line).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '');
}
