/**
 * The completion script of fish, for ~/.config/fish/completions/rebind.fish.
 */

import type { Command, Flag, Values } from '../command.ts';
import { commonFlags } from '../flags.ts';
import { isMachineValue, visible } from './words.ts';

export function fishCompletion(commands: readonly Command[]): string {
  const listed = visible(commands);
  const names = listed.map(({ name }) => name).join(' ');
  const why = listed.find(({ name }) => name === 'why');
  return `# fish completion for rebind.
complete -c rebind -f
complete -c rebind -n '__fish_is_first_arg' -a '(rebind __values endpoints 2>/dev/null)' -d endpoint
${listed.map(({ name, summary }) => `complete -c rebind -n '__fish_is_first_arg' -a ${name} -d ${quote(summary)}`).join('\n')}
${commonFlags.map((flag) => flagLine(flag, null)).join('\n')}
${(why?.flags ?? []).map((flag) => flagLine(flag, `not __fish_seen_subcommand_from ${names}`)).join('\n')}
${listed.map(commandLines).filter(Boolean).join('\n')}
`;
}

function commandLines(command: Command): string {
  const seen = `__fish_seen_subcommand_from ${command.name}`;
  return [
    ...command.flags.map((flag) => flagLine(flag, seen)),
    ...command.operands.flatMap(({ name, values }) =>
      values === undefined
        ? []
        : [
            `complete -c rebind -n ${quote(`${seen}; and not __fish_is_first_arg`)} -a ${quote(offer(values))} -d ${quote(name)}`,
          ],
    ),
    ...(command.rest === undefined
      ? []
      : [
          `complete -c rebind -n ${quote(`${seen}; and contains -- -- (commandline -opc)`)} -a '(__fish_complete_subcommand)'`,
        ]),
  ].join('\n');
}

function flagLine(flag: Flag, condition: string | null): string {
  const when = condition === null ? '' : ` -n ${quote(condition)}`;
  const short = flag.short === undefined ? '' : ` -s ${flag.short}`;
  const value =
    flag.value === undefined
      ? ''
      : ` -x${flag.value.values === undefined ? '' : ` -a ${quote(offer(flag.value.values))}`}`;
  const lines = [`complete -c rebind${when} -l ${flag.name}${short}${value} -d ${quote(flag.summary)}`];
  if (flag.negatable) lines.push(`complete -c rebind${when} -l no-${flag.name} -d ${quote(`Not --${flag.name}`)}`);
  return lines.join('\n');
}

function offer(values: Values): string {
  return isMachineValue(values) ? `(rebind __values ${values} 2>/dev/null)` : values.join(' ');
}

/** In fish's single quotes only the quote and the backslash are special. */
function quote(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
