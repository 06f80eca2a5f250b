/**
 * man/rebind.1, from the table of commands, in the man(7) macros that every system knows.
 */

import { type Command, effectWords, type Flag } from '../../src/cli/command.ts';
import { exitMeanings } from '../../src/cli/exit.ts';
import { commonFlags, endpointPage } from '../../src/cli/flags.ts';
import { flagUsage, usageOf } from '../../src/cli/help.ts';

export function manualPage(commands: readonly Command[], version: string): string {
  const listed = commands.filter(({ hidden }) => !hidden);
  return [
    `.TH REBIND 1 "" "rebind ${roff(version)}" "User Commands"`,
    '.SH NAME',
    'rebind \\- say why a port cannot be listened on, and make it available',
    '.SH SYNOPSIS',
    '.B rebind',
    '.I endpoint',
    '.br',
    '.B rebind',
    '.I command',
    '.RI [ options ]',
    '.SH DESCRIPTION',
    roff(
      "rebind answers two questions: why can't my program listen on this port, and why can't my client connect to it? It names the true cause, every process behind it, how long it lasts where that is known, and what would help.",
    ),
    ...endpointPage.flatMap((paragraph) => ['.PP', roff(paragraph)]),
    '.SH COMMANDS',
    ...listed.flatMap(section),
    '.SH OPTIONS OF EVERY COMMAND',
    ...commonFlags.flatMap(flagEntry),
    '.SH EXIT STATUS',
    ...exitMeanings.flatMap(({ code, meaning }) => ['.TP', `.B ${code}`, roff(sentence(meaning))]),
    '.SH ENVIRONMENT',
    '.TP',
    '.BR NO_COLOR ", " FORCE_COLOR',
    'Never colour the output, or always.',
    '.TP',
    '.BR NODE_DISABLE_COMPILE_CACHE',
    'Keep no compiled code for the next run.',
    '.SH FILES',
    '.TP',
    '.IR ~/.cache/rebind ", or below " $XDG_CACHE_HOME',
    roff(
      'Compiled code of the command, so that the next run starts in less time. Used only if nobody else can write there; it may be removed at any time.',
    ),
    '.SH SEE ALSO',
    '.BR ss (8),',
    '.BR lsof (8),',
    '.BR fuser (1),',
    '.BR bind (2),',
    '.BR ip (7),',
    '.BR tcp (7)',
    '',
  ].join('\n');
}

function section(command: Command): string[] {
  return [
    `.SS ${roff(`rebind ${usageOf(command)}`)}`,
    roff(sentence(command.summary)),
    '.PP',
    roff(`Effect: ${effectWords[command.effect]}.`),
    ...command.page
      .filter((paragraph) => !endpointPage.includes(paragraph))
      .flatMap((paragraph) => ['.PP', roff(paragraph)]),
    ...command.flags.flatMap(flagEntry),
    ...command.examples.flatMap(({ command: line, summary }) => ['.TP', `.B ${roff(line)}`, roff(sentence(summary))]),
  ];
}

function flagEntry(flag: Flag): string[] {
  return ['.TP', `.B ${roff(flagUsage(flag))}`, roff(sentence(flag.summary))];
}

/** Text as roff takes it: a backslash and a dash are special everywhere, a dot or a quote at the start of a line. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replace(/^([.'])/, '\\&$1');
}

function sentence(text: string): string {
  return /[.?!]$/.test(text) ? text : `${text}.`;
}
