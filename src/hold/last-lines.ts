/**
 * The last lines that a command wrote to stderr, while what it writes can succeed and fail exactly as without hold.
 *
 * A pipe or a socket is passed through, and closed for the command when nobody reads it any more. A file or a terminal is the
 * command's own, so that a full disk is its own error; the lines are then read back from the file.
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { escapeText } from '../model/text.ts';
import { os } from '../os/index.ts';

const mostLines = 20;
/** Of one line; a program may print binary data without any line end. */
const mostCharacters = 2_000;
/** Of the end of a log file. */
const mostBytes = 16_384;
const stderr = 2;
/** What hold itself tells stands in the same file. */
const ownLines = 'rebind: ';

/** Where the command's stderr goes. */
export interface LastLines {
  /** Without escape sequences, and with control characters spelled out, so that they can be shown. */
  readonly lines: readonly string[];
}

/** The lines of a command whose stderr is passed on to `to`. */
export function passThrough(from: Readable | null, to: NodeJS.WritableStream | null): LastLines {
  const kept = new Lines();
  if (from === null || to === null) return kept;
  const end = (): void => {
    to.off('error', end).off('close', end).off('drain', go);
    // The command is told by the next write, as if it wrote there itself (EPIPE, SIGPIPE).
    from.destroy();
  };
  const go = (): void => void from.resume();
  from.on('data', (chunk: Buffer) => {
    kept.add(chunk.toString('utf8'));
    // The reader may be slow: then the command waits, as it would without us.
    if (!to.write(chunk)) from.pause();
  });
  from.once('close', () => to.off('error', end).off('close', end).off('drain', go));
  // It ends with the program; a broken pipe at the other side is the writer's business.
  from.on('error', () => {});
  to.on('drain', go).on('error', end).on('close', end);
  return kept;
}

/** The lines of a command that writes to our own stderr, from now on; none where that is no file. */
export function readBack(): LastLines {
  if (os().streams.kindOf(stderr) !== 'file') return new Lines();
  const from = fstatSync(stderr).size;
  return {
    get lines() {
      const fd = os().streams.openToRead(stderr);
      if (fd === null) return [];
      try {
        const { size } = fstatSync(fd);
        const at = Math.max(Math.min(from, size), size - mostBytes);
        const bytes = Buffer.alloc(size - at);
        const length = readSync(fd, bytes, 0, bytes.length, at);
        const kept = new Lines();
        kept.add(bytes.subarray(0, length).toString('utf8'));
        return kept.lines.filter((line) => !line.startsWith(ownLines));
      } finally {
        closeSync(fd);
      }
    },
  };
}

class Lines implements LastLines {
  #lines: string[] = [];
  #rest = '';

  get lines(): readonly string[] {
    const all = this.#rest === '' ? this.#lines : [...this.#lines, this.#rest];
    return all.slice(-mostLines).map(plain);
  }

  add(text: string): void {
    const parts = (this.#rest + text).split('\n');
    this.#rest = (parts.pop() ?? '').slice(-mostCharacters);
    this.#lines.push(...parts.map((part) => part.slice(0, mostCharacters)));
    if (this.#lines.length > mostLines) this.#lines = this.#lines.slice(-mostLines);
  }
}

/** Colours and a tab mean nothing in a list of lines; whatever else a terminal would act on is spelled out. */
function plain(line: string): string {
  return escapeText(stripVTControlCharacters(line).replaceAll('\t', '  ').trimEnd());
}
