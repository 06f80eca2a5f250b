/**
 * docs/causes/*.md of the causes of `reach`, and their list.
 */
import type { AddressCause, TargetCause } from '../../src/causes/connect/form.ts';
import { causes } from '../../src/causes/connect/index.ts';
import { registry as bindCauses } from './causes.ts';

type AnyCause = AddressCause<string, object> | TargetCause<string, object>;

/** Every cause, in the order of decision, with the types of the pages and not of their arguments. */
export const connectRegistry: readonly AnyCause[] = causes;

const platforms = { linux: 'Linux', darwin: 'macOS', win32: 'Windows' } as const;

/** The page of one cause, or what the page of the cause with the same name gets at its end. */
export function connectCausePage(cause: AnyCause, recorded: string | null): string {
  const parts = [
    `# ${cause.title}`,
    `\`${cause.id}\` · ${cause.on.map((platform) => platforms[platform]).join(', ')} · ${reportedAs(cause)
      .map((errno) => `\`${errno}\``)
      .join(', ')}`,
    '## What you see',
    cause.page.see,
    ...(recorded === null ? [] : ['A real answer:', `\`\`\`console\n${recorded.trimEnd()}\n\`\`\``]),
    '## Why it happens',
    cause.page.why,
    '## What to do now',
    cause.page.now,
    '## How to prevent it',
    cause.page.prevent,
    '## Try it',
    tryIt(cause),
  ];
  return `${parts.map((part) => part.trim()).join('\n\n')}\n`;
}

/** True where a cause of binding has the same name, and the page. */
export function isShared({ id }: { readonly id: string }): boolean {
  return bindCauses.some((cause) => cause.id === id);
}

/** What the page of a shared cause says about clients. */
export function clientsSection(cause: AnyCause): string {
  return `\n## For clients\n\n\`rebind reach\` names this cause, too, where it stops a client: ${reportedAs(cause).join(', ')}. ${situations(cause)}\n`;
}

/** A table with a row for each cause, in the order of decision; `folder` is where the pages are, seen from the reader. */
export function connectTable(folder: string): string {
  return [
    '| cause | what it is | a client gets |',
    '|---|---|---|',
    ...connectRegistry.map(
      (cause) =>
        `| [\`${cause.id}\`](${folder}${cause.id}.md) | ${cause.title.replaceAll('|', '\\|')} | ${reportedAs(cause).join(', ')} |`,
    ),
  ].join('\n');
}

/** What a client gets in the staged situations. */
function reportedAs({ stages, getsThrough }: AnyCause): string[] {
  const errnos = stages
    .filter(({ expect }) => expect.cause === undefined)
    .map(({ expect }) => expect.errno ?? (getsThrough ? 'gets through' : 'not told'));
  return errnos.length === 0
    ? ['not told']
    : [...new Set(errnos)].map((errno) => (errno === 'ETIMEDOUT' ? 'ETIMEDOUT (a hang)' : errno));
}

function tryIt(cause: AnyCause): string {
  if (cause.stages.length === 0) return 'It cannot be staged: it is judged by recorded evidence.';
  return `\`rebind demo ${cause.id}\` brings it about with processes and networks of its own, explains it, and cleans up. ${situations(cause)}`;
}

function situations({ stages }: AnyCause): string {
  if (stages.length === 0) return '';
  if (stages.length === 1) return 'It is tested on a real system.';
  return `It is tested on a real system in ${stages.length} situations:\n\n${stages.map(({ title }) => `- ${title}`).join('\n')}`;
}
