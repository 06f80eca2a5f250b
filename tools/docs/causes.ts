/**
 * docs/causes/*.md and the list of all causes, from the files of the causes.
 */

import { causes } from '../../src/causes/bind/index.ts';
import type { Cause } from '../../src/causes/cause.ts';

type AnyCause = Cause<string, object>;

/** Every cause, in order of precedence, with the types of the pages and not of their arguments. */
export const registry: readonly AnyCause[] = causes;

const platforms = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' } as const;

/** The page of one cause. `recorded` is what the command printed on the staged situation, null when it has not been recorded. */
export function causePage(cause: AnyCause, recorded: string | null): string {
  const parts = [
    `# ${cause.title}`,
    [
      `\`${cause.id}\``,
      cause.on.map((platform) => platforms[platform]).join(', '),
      errnosOf(cause)
        .map((errno) => `\`${errno}\``)
        .join(', '),
    ].join(' · '),
    '## What you see',
    cause.page.see,
    ...(recorded === null ? [] : ['A real answer:', fence(recorded)]),
    '## Why it happens',
    cause.page.why,
    '## What to do now',
    cause.page.now,
    '## How to prevent it',
    cause.page.prevent,
    ...(cause.stages.length === 0
      ? [
          '## How it is tested',
          'It cannot be staged on Linux, where rebind is tested; the tests use a simulated machine (`test/os`).',
        ]
      : [
          '## Try it',
          `\`rebind demo ${cause.id}\` brings it about with processes of its own, explains it, and cleans up. ${situations(cause)}`,
        ]),
  ];
  return `${parts.map((part) => part.trim()).join('\n\n')}\n`;
}

/** A table with a row for each cause, in order of precedence; `folder` is where the pages are, seen from the reader. */
export function causeTable(folder: string): string {
  return [
    '| cause | what it is | reported as |',
    '|---|---|---|',
    ...registry.map(
      (cause) =>
        `| [\`${cause.id}\`](${folder}${cause.id}.md) | ${cause.title.replaceAll('|', '\\|')} | ${errnosOf(cause).join(', ')} |`,
    ),
  ].join('\n');
}

/** What bind reports in the staged situations, in words where it reports nothing. Those that cannot be staged are all about a port in use. */
export function errnosOf(cause: AnyCause): string[] {
  if (cause.stages.length === 0) return ['EADDRINUSE'];
  const errnos = cause.stages.map(({ expect }) => expect.errno ?? (expect.bindable ? 'bindable' : 'not told'));
  return [...new Set(errnos)];
}

function situations(cause: AnyCause): string {
  if (cause.stages.length === 1) return 'It is tested on a real system.';
  return `It is tested on a real system in ${cause.stages.length} situations:\n\n${cause.stages.map(({ title }) => `- ${title}`).join('\n')}`;
}

function fence(text: string): string {
  return `\`\`\`console\n${text.trimEnd()}\n\`\`\``;
}
