/**
 * From what was typed to an invocation, by the table of commands. Reading a command line does nothing else: it opens,
 * loads and changes nothing.
 */

import { type ParseArgsConfig, parseArgs } from 'node:util';
import { escapeText, quoted } from '../model/text.ts';
import type { Command, Flag, Invocation } from './command.ts';
import { correctedCommand, correctedFlag, unquoted, withDashes } from './corrections.ts';
import { commonFlags } from './flags.ts';
import { shellWords } from './text.ts';
import { servicePort } from './typed.ts';
import { suggestion, UsageError } from './usage.ts';

/** What the command line asks for. */
export type Reading =
  | { readonly kind: 'run'; readonly invocation: Invocation }
  /** `--help`; the command, or null for the help of everything. */
  | { readonly kind: 'help'; readonly command: Command | null }
  | { readonly kind: 'version' };

/**
 * Reads a command line, without the two words for node and the script.
 *
 * @throws {UsageError}
 */
export function readArguments(argv: readonly string[], commands: readonly Command[]): Reading {
  // parseArgs takes a cluster of short flags apart in time that grows with the square of its length.
  const cluster = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : argv.length).find(isLongCluster);
  if (cluster !== undefined) throw new UsageError(`There is no option ${quoted(cluster)}`);
  if (argv.length === 1 && argv[0] === 'version') return { kind: 'version' };
  const { command, rest } = chooseCommand(argv, commands);
  if (command === null) return readWithoutCommand(argv, commands);
  return readFor(command, rest, commands, argv);
}

/** Longer than all short flags together. */
function isLongCluster(word: string): boolean {
  return /^-[^-]/.test(word) && word.length > 100;
}

/** True when the words before `--` ask for JSON, however wrong the rest is. */
export function asksForJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

/** The first word that is not a flag names the command; anything else is an endpoint for `why`. */
function chooseCommand(
  argv: readonly string[],
  commands: readonly Command[],
): { command: Command | null; rest: readonly string[] } {
  const at = commandAt(argv, commands);
  const word = argv[at];
  if (word === undefined) return { command: null, rest: argv };
  const named = commands.find((command) => command.name === word);
  if (named !== undefined) return { command: named, rest: [...argv.slice(0, at), ...argv.slice(at + 1)] };
  // Letters alone are the name of a service or were meant to be a command; a host without a port is reported as an endpoint.
  if (/^[a-z-]+$/i.test(word) && word !== '--' && word !== 'localhost' && servicePort(word) === null) {
    const names = commands.filter((command) => !command.hidden).map((command) => command.name);
    const corrected = correctedCommand(argv, at, names);
    if (corrected !== null) throw new UsageError(`There is no command "${word}". Try: ${escapeText(corrected)}`);
    throw new UsageError(
      `There is no command "${word.slice(0, 40)}".${suggestion(word.toLowerCase(), names) || ' See "rebind help".'}`,
    );
  }
  return { command: commands.find((command) => command.name === 'why') ?? null, rest: argv };
}

/** The first word that is neither a flag nor the value of one, or `--`; -1 without either. */
function commandAt(argv: readonly string[], commands: readonly Command[]): number {
  const takesValue = new Set(
    commands.flatMap(({ flags }) => flags.flatMap(({ name, value }) => (value ? [`--${name}`] : []))),
  );
  return argv.findIndex(
    (word, index) =>
      word === '--' ||
      (!word.startsWith('-') && !(takesValue.has(argv[index - 1] ?? '') && !isCommand(word, commands))),
  );
}

function isCommand(word: string, commands: readonly Command[]): boolean {
  return commands.some(({ name }) => name === word);
}

function readWithoutCommand(argv: readonly string[], commands: readonly Command[]): Reading {
  for (const word of argv) {
    if (word === '--help' || word === '-h') return { kind: 'help', command: null };
    if (word === '--version' || word === '-V') return { kind: 'version' };
    if (word === '-v' && argv.length === 1) throw new UsageError('There is no option "-v". Try: rebind --version');
  }
  const why = commands.find((command) => command.name === 'why');
  // Flags alone are read as flags of `why`, so that a misspelt one is named before the missing endpoint is.
  if (argv.length > 0 && why !== undefined) return readFor(why, argv, commands, argv);
  throw new UsageError('An endpoint or a command is needed, such as "rebind 3000". See "rebind help".');
}

/** `argv` is the whole line, for a sentence that corrects it. */
function readFor(
  command: Command,
  words: readonly string[],
  commands: readonly Command[],
  argv: readonly string[],
): Reading {
  const flags = [...command.flags, ...commonFlags];
  const { tokens } = parseArgs({
    args: [...words],
    options: optionsOf(flags),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const operands: string[] = [];
  const given: { name: string; value: string | undefined }[] = [];
  const terminator =
    command.rest === undefined ? undefined : tokens.find((token) => token.kind === 'option-terminator');
  for (const token of tokens) {
    if (terminator !== undefined && token.index >= terminator.index) break;
    if (token.kind === 'positional') operands.push(token.value);
    else if (token.kind === 'option') given.push(readFlag(command, flags, token, argv));
  }
  if (given.some(({ name }) => name === 'help')) return { kind: 'help', command };
  if (given.some(({ name }) => name === 'version')) return { kind: 'version' };
  const rest = terminator === undefined ? null : words.slice(terminator.index + 1);
  checkRest(command, operands, rest, argv);
  checkOperands(command, operands, rest);
  return { kind: 'run', invocation: { commands, ...invocation(command, operands, rest, given) } };
}

function optionsOf(flags: readonly Flag[]): NonNullable<ParseArgsConfig['options']> {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const flag of flags) {
    options[flag.name] = {
      type: flag.value === undefined ? 'boolean' : 'string',
      ...(flag.short === undefined ? {} : { short: flag.short }),
    };
    if (flag.negatable) options[`no-${flag.name}`] = { type: 'boolean' };
  }
  return options;
}

function readFlag(
  command: Command,
  flags: readonly Flag[],
  token: { name: string; rawName: string; value?: string | undefined; inlineValue?: boolean | undefined },
  argv: readonly string[],
): { name: string; value: string | undefined } {
  const flag = flags.find(({ name, negatable }) => name === token.name || (negatable && `no-${name}` === token.name));
  if (flag === undefined) {
    const names = flags.flatMap(({ name, negatable }) => (negatable ? [name, `no-${name}`] : [name]));
    const corrected = correctedFlag(
      argv,
      token.rawName,
      names.map((name) => `--${name}`),
    );
    if (corrected !== null)
      throw new UsageError(
        `"rebind ${command.name}" has no option "${typed(token.rawName)}". Try: ${escapeText(corrected)}`,
      );
    throw new UsageError(
      `"rebind ${command.name}" has no option "${typed(token.rawName)}".${suggestion(token.name, names, '--') || ` See "rebind help ${command.name}".`}`,
    );
  }
  if (flag.value === undefined) {
    if (token.value !== undefined) throw new UsageError(`The option "--${token.name}" takes no value`);
  } else if (token.value === undefined || token.value === '') {
    throw new UsageError(`The option "--${flag.name}" needs a value: --${flag.name} ${flag.value.name}`);
  } else if (!token.inlineValue && token.value.startsWith('-') && token.value.length > 1) {
    throw new UsageError(
      `The option "--${flag.name}" needs a value; for one that begins with a dash write --${flag.name}=${typed(token.value)}`,
    );
  } else if (Array.isArray(flag.value.values) && !flag.value.values.includes(token.value)) {
    throw new UsageError(`The option "--${flag.name}" takes ${listed(flag.value.values)}, not "${typed(token.value)}"`);
  }
  return { name: token.name, value: token.value };
}

/** The two slips with the command after `--`: no dashes, and quotes around the whole of it. */
function checkRest(
  command: Command,
  operands: readonly string[],
  rest: readonly string[] | null,
  argv: readonly string[],
): void {
  if (command.rest === undefined) return;
  const program = rest === null ? operands.find((word) => !looksLikeEndpoint(word)) : undefined;
  if (program !== undefined)
    throw new UsageError(`A command stands after "--". Try: ${escapeText(withDashes(argv, program))}`);
  const line = unquoted(rest ?? []);
  if (line !== null) {
    const before = argv.slice(0, argv.indexOf('--') + 1);
    throw new UsageError(
      `There is no program ${quoted(line, 60)}. Try: ${escapeText(`${shellWords(['rebind', ...before])} ${line}`)}`,
    );
  }
}

/** A port, an address with one, a path, or a name of a service; a program is none of them. */
function looksLikeEndpoint(word: string): boolean {
  return /[\d:/]/.test(word) || word.endsWith('.sock') || word === 'localhost' || servicePort(word) !== null;
}

function checkOperands(command: Command, operands: readonly string[], rest: readonly string[] | null): void {
  const required = command.operands.filter(({ count = 'one' }) => count === 'one' || count === 'some').length;
  const many = command.operands.some(({ count }) => count === 'some' || count === 'any');
  const missing = command.operands[operands.length];
  if (operands.length < required && missing !== undefined) {
    throw new UsageError(`"rebind ${command.name}" needs ${missing.summary}. See "rebind help ${command.name}".`);
  }
  const surplus = operands[command.operands.length];
  if (!many && surplus !== undefined) {
    throw new UsageError(
      command.operands.length === 0
        ? `"rebind ${command.name}" takes only options: unexpected argument "${typed(surplus)}"`
        : `"rebind ${command.name}" takes one ${command.operands.map(({ name }) => name).join(' and ')}: unexpected argument "${typed(surplus)}"`,
    );
  }
  for (const [index, operand] of command.operands.entries()) {
    const word = operands[index];
    if (word !== undefined && Array.isArray(operand.values) && !operand.values.includes(word))
      throw new UsageError(
        `"rebind ${command.name}" takes ${listed(operand.values)}, not "${typed(word)}".${suggestion(word, operand.values)}`,
      );
  }
  if (command.rest !== undefined && command.rest.count !== 'optional' && (rest === null || rest.length === 0))
    throw new UsageError(
      `"rebind ${command.name}" needs ${command.rest.summary} after "--". See "rebind help ${command.name}".`,
    );
}

function invocation(
  command: Command,
  operands: readonly string[],
  rest: readonly string[] | null,
  given: readonly { name: string; value: string | undefined }[],
): Omit<Invocation, 'commands'> {
  const values = (name: string) => given.flatMap((one) => (one.name === name ? [one.value ?? ''] : []));
  return {
    command,
    operands,
    rest,
    flag(name) {
      const last = given.findLast((one) => one.name === name || one.name === `no-${name}`);
      return last === undefined ? undefined : last.name === name;
    },
    value: (name) => values(name).at(-1),
    values,
  };
}

function listed(values: readonly string[]): string {
  return values.length < 2 ? values.join('') : `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
}

/** What was typed, for a place between quotes. */
function typed(text: string): string {
  return quoted(text, 60).slice(1, -1);
}
