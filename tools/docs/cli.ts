/**
 * docs/cli.md, from the table of commands.
 */

import { type Command, effectWords, type Flag } from '../../src/cli/command.ts';
import { exitMeanings } from '../../src/cli/exit.ts';
import { commonFlags, endpointPage } from '../../src/cli/flags.ts';
import { flagUsage, usageOf } from '../../src/cli/help.ts';

export function cliPage(commands: readonly Command[]): string {
  const listed = commands.filter(({ hidden }) => !hidden);
  return [
    '# The command',
    '',
    '`rebind <endpoint>` is short for `rebind why <endpoint>`.',
    '',
    '| command | what it does | effect |',
    '|---|---|---|',
    ...listed.map(
      (command) =>
        `| [\`${bare(command)}\`](#${command.name}) | ${cell(command.summary)} | ${effectWords[command.effect]} |`,
    ),
    '',
    ...endpointPage.flatMap((paragraph) => [paragraph, '']),
    'stdout is the answer; stderr is progress, warnings and questions. Colour appears on a terminal and follows `NO_COLOR` and `FORCE_COLOR`.',
    '',
    'The first answer of a version keeps compiled code in `~/.cache/rebind` (or below `$XDG_CACHE_HOME`), which makes the next ones faster. It is used only if nobody else can write there, and may be removed at any time; `NODE_DISABLE_COMPILE_CACHE=1` turns it off.',
    '',
    ...listed.flatMap(section),
    '## Exit codes',
    '',
    '| code | meaning |',
    '|---|---|',
    ...exitMeanings.map(({ code, meaning }) => `| ${code} | ${cell(meaning)} |`),
    '',
  ].join('\n');
}

function section(command: Command): string[] {
  return [
    `## ${command.name}`,
    '',
    command.summary.endsWith('?') ? command.summary : `${command.summary}.`,
    '',
    '```',
    `rebind ${usageOf(command)}`,
    '```',
    '',
    // The endpoints are described once, above.
    ...command.page.filter((paragraph) => !endpointPage.includes(paragraph)).flatMap((paragraph) => [paragraph, '']),
    '| option | meaning |',
    '|---|---|',
    ...[...command.flags, ...commonFlags].map(flagRow),
    '',
    ...(command.examples.length === 0
      ? []
      : ['```sh', ...command.examples.map(({ command: line, summary }) => `${line}   # ${summary}`), '```', '']),
  ];
}

function bare(command: Command): string {
  return `rebind ${usageOf(command).replace(' [options]', '')}`;
}

function flagRow(flag: Flag): string {
  return `| \`${cell(flagUsage(flag))}\` | ${cell(flag.summary)} |`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
