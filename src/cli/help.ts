/**
 * Help, from the table of commands.
 */

import { type Command, effectWords, type Flag, type Operand } from './command.ts';
import { commonFlags, endpointPage } from './flags.ts';
import type { Canvas } from './io.ts';
import { pad, wrap } from './text.ts';

/** `rebind help`: every command in a line, and where to go from there. */
export function helpForAll(commands: readonly Command[], canvas: Canvas): string {
  const listed = commands.filter(({ hidden }) => !hidden);
  return [
    ...wrap("Why can't my program listen on this port? The true answer, and what to do about it.", canvas.width),
    '',
    canvas.paint('strong', 'Usage'),
    ...table(
      [
        ['rebind <endpoint>', 'short for: rebind why <endpoint>'],
        ['rebind <command> [options]', ''],
      ],
      canvas,
    ),
    '',
    canvas.paint('strong', 'Commands'),
    ...table(
      listed.map((command) => [usageOf(command).replace(/ \[options\]/, ''), command.summary]),
      canvas,
    ),
    '',
    canvas.paint('strong', 'Endpoints'),
    ...endpointPage.flatMap((paragraph) => wrap(paragraph, canvas.width - 2).map((line) => `  ${line}`)),
    '',
    canvas.paint('strong', 'Options'),
    ...table(commonFlags.map(flagRow), canvas),
    '',
    ...wrap('"rebind help <command>" says more about one of them.', canvas.width),
    '',
  ].join('\n');
}

/** `rebind help why`, `rebind why --help`. */
export function helpFor(command: Command, canvas: Canvas): string {
  const lines = [
    ...wrap(command.summary.endsWith('?') ? command.summary : `${command.summary}.`, canvas.width),
    '',
    `${canvas.paint('strong', 'Usage')}   rebind ${usageOf(command)}`,
    `${canvas.paint('strong', 'Effect')}  ${effectWords[command.effect]}`,
  ];
  for (const paragraph of command.page) lines.push('', ...wrap(paragraph, canvas.width));
  lines.push('', canvas.paint('strong', 'Options'), ...table([...command.flags, ...commonFlags].map(flagRow), canvas));
  if (command.examples.length > 0) {
    lines.push('', canvas.paint('strong', 'Examples'));
    lines.push(
      ...table(
        command.examples.map((example) => [example.command, example.summary]),
        canvas,
      ),
    );
  }
  return `${lines.join('\n')}\n`;
}

/** `hold <endpoint>... [options] -- <command>`. */
export function usageOf(command: Command): string {
  return [
    command.name,
    ...command.operands.map(operandUsage),
    ...(command.flags.length > 0 ? ['[options]'] : []),
    ...(command.rest === undefined ? [] : [restUsage(command.rest)]),
  ].join(' ');
}

function operandUsage({ name, count = 'one' }: Operand): string {
  if (count === 'any') return `[${name}...]`;
  return count === 'optional' ? `[${name}]` : count === 'some' ? `<${name}>...` : `<${name}>`;
}

function restUsage({ name, count }: Operand): string {
  return count === 'optional' ? `[-- ${name}]` : `-- ${name}`;
}

/** `-h, --help`, `--[no-]reuse-address`, `--device NAME`. */
export function flagUsage(flag: Flag): string {
  const long = `--${flag.negatable ? '[no-]' : ''}${flag.name}${flag.value === undefined ? '' : ` ${flag.value.name}`}`;
  return flag.short === undefined ? long : `-${flag.short}, ${long}`;
}

function flagRow(flag: Flag): readonly [string, string] {
  return [flagUsage(flag), flag.summary];
}

/** Two columns; where the terminal is narrow, the second goes below the first. */
function table(rows: readonly (readonly [string, string])[], canvas: Canvas): string[] {
  const left = Math.min(Math.max(...rows.map(([first]) => first.length)), 34) + 4;
  const room = canvas.width - left;
  return rows.flatMap(([first, second]) => {
    if (second === '') return [`  ${first}`];
    if (room < 30) return [`  ${first}`, ...wrap(second, canvas.width - 6).map((line) => `      ${line}`)];
    const lines = wrap(second, room);
    const indent = ' '.repeat(left);
    if (first.length + 4 > left) return [`  ${first}`, ...lines.map((line) => indent + line)];
    return [`  ${pad(first, left - 2)}${lines[0] ?? ''}`, ...lines.slice(1).map((line) => indent + line)];
  });
}
