/**
 * The files in test/pins/: every sentence in the source that a person can meet, and what the command prints for examples, so that a
 * change of words is made on purpose. `npm run docs` writes them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { commands } from '../../src/cli/commands.ts';
import { helpFor, helpForAll } from '../../src/cli/help.ts';
import type { Canvas } from '../../src/cli/io.ts';
import { picture } from '../../src/cli/why-text.ts';
import { free, hostile, noonMs, taken, waiting } from '../../test/cli/reports.ts';
import { literalsOf } from './literals.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const plain: Canvas = { width: 80, unicode: true, home: '/home/ann', paint: (_style, text) => text };

/** Text with a space in it that begins like a sentence or a part of one; code in a text, such as a shell script, is none. */
function isSentence(text: string): boolean {
  return (
    /^[\p{L}"`{(; ,.]/u.test(text) &&
    /\p{L}{2,} .*\p{L}{2,}/u.test(text) &&
    !/[;{]\s*$|=>|\bfunction\b|\bimport\b/.test(text)
  );
}

/** The pinned files by path. */
export function pins(): ReadonlyMap<string, string> {
  return new Map([
    ['test/pins/sentences.txt', sentences()],
    ['test/pins/answers.txt', answers()],
  ]);
}

function sentences(): string {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('stage'))
    .sort();
  return files
    .flatMap((name) => {
      const found = literalsOf(readFileSync(join(root, 'src', name), 'utf8')).filter(isSentence);
      return found.length === 0
        ? []
        : [`# ${name}\n${[...new Set(found)].map((text) => text.replace(/\s+/g, ' ').trim()).join('\n')}\n`];
    })
    .join('\n');
}

function answers(): string {
  const parts: [string, string][] = [
    ['rebind help', helpForAll(commands, plain)],
    ...commands
      .filter(({ hidden }) => !hidden)
      .map((command): [string, string] => [`rebind help ${command.name}`, helpFor(command, plain)]),
    ...Object.entries({ taken, free, waiting, hostile }).map(([name, report]): [string, string] => [
      `the answer about ${name}`,
      picture(report, plain, noonMs),
    ]),
  ];
  return parts.map(([title, text]) => `==== ${title}\n${text}`).join('\n');
}
