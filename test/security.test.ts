/**
 * docs/security.md says of every surface who attacks, what the defence is, and which test shows it.
 */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { surfaces } from '../tools/docs/surfaces.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(root, 'docs/security.md'), 'utf8');

function filesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((name) => `${folder}/${name}`)
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'));
}

/** The text below `## heading`, until the next one. */
function sectionOf(heading: string): string | undefined {
  const parts = page.split(/^## /m).slice(1);
  return parts.find((part) => part.startsWith(`${heading}\n`))?.slice(heading.length);
}

/** Every title in a file, as a pattern: what a template fills in may be anything. */
function titlesIn(text: string): RegExp[] {
  const found = text.matchAll(
    /\b(?:test|describe|it)\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g,
  );
  return [...found].map(([, single, double, template]) => {
    const title = (single ?? double ?? template ?? '').replace(/\\(.)/g, '$1');
    const parts = template === undefined ? [title] : title.split(/\$\{(?:[^{}]|\{[^{}]*\})*\}/);
    return new RegExp(`^${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.+')}$`);
  });
}

describe('docs/security.md', () => {
  for (const { name, files } of surfaces) {
    test(`${name}: who attacks, what it could do, the defence, and tests that exist`, () => {
      const section = sectionOf(name);
      assert(section !== undefined, `there is no section "## ${name}"`);
      for (const part of ['Who', 'Could', 'Defence', 'Tests'])
        assert.match(section, new RegExp(`^\\*\\*${part}\\.\\*\\* \\S[^]{10}`, 'm'), `"${part}" is missing`);
      const tests = [...section.matchAll(/^- `(test\/\S+)`: (.+)$/gm)];
      assert(tests.length > 0, 'it names no test');
      for (const [, file = '', title = ''] of tests) {
        const known = titlesIn(readFileSync(join(root, file), 'utf8'));
        assert(
          known.some((pattern) => pattern.test(title)),
          `${file} has no test "${title}"`,
        );
      }
      for (const file of files) assert(existsSync(join(root, file)), `${file} is gone`);
    });
  }

  test('has no section that is neither a surface nor one of the frame', () => {
    const frame = ['Assets', 'Who attacks', 'What was run', 'Known limits'];
    const known = new Set([...frame, ...surfaces.map(({ name }) => name)]);
    const headings = [...page.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading);
    assert.deepEqual(
      headings.filter((heading) => !known.has(heading)),
      [],
    );
    for (const heading of frame) assert(headings.includes(heading), heading);
  });

  test('every file that opens a door or receives what others send belongs to a surface', () => {
    const doors = /channels(?:\(\))?\.listen\(|openInbox\(name, \{|\breceiveDescriptors\(\w|\breceiveMessage\(this/;
    const listed = surfaces.flatMap(({ files }) => files);
    const open = filesIn('src').filter(
      (name) => !name.startsWith('src/stage/') && doors.test(readFileSync(join(root, name), 'utf8')),
    );
    // What carries the messages for the others, and its interface.
    const carriers = ['src/os/linux/calls/descriptors.ts', 'src/os/sockets.ts', 'src/os/channels.ts'];
    assert(open.length >= 5);
    for (const name of open) assert(listed.includes(name) || carriers.includes(name), name);
  });
});
