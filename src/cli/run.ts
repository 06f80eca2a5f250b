/**
 * One run of the command: from the words that were typed to an exit code. Touches the process only through `Io`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { isSystemError, isUnsupportedError } from '../os/errors.ts';
import { asksForJson, type Reading, readArguments } from './args.ts';
import type { Command } from './command.ts';
import { commands } from './commands.ts';
import { exit } from './exit.ts';
import { canvas, type Io } from './io.ts';
import { isUsageError } from './usage.ts';

/** A command line that was read. What is wrong with it is told when it is run. */
export type Line = { readonly argv: readonly string[] } & ({ readonly reading: Reading } | { readonly error: unknown });

export function readLine(argv: readonly string[]): Line {
  try {
    return { argv, reading: readArguments(argv, commands) };
  } catch (error) {
    return { argv, error };
  }
}

/** Runs a command line and returns its exit code. Every failure has been told when it returns. */
export async function run(line: Line, io: Io): Promise<number> {
  try {
    if ('error' in line) throw line.error;
    const { reading } = line;
    if (reading.kind === 'version') {
      io.stdout.write(`${version()}\n`);
      return exit.ok;
    }
    if (reading.kind === 'help') {
      const help = await import('./help.ts');
      io.stdout.write(
        reading.command === null ? help.helpForAll(commands, canvas(io)) : help.helpFor(reading.command, canvas(io)),
      );
      return exit.ok;
    }
    const module = await reading.invocation.command.load();
    return await module.run(reading.invocation, io);
  } catch (error) {
    return tellFailure(error, asksForJson(line.argv), io);
  }
}

/** The command that was asked for, or null for a help, the version or a wrong command line. */
export function commandOf(line: Line): Command | null {
  return 'reading' in line && line.reading.kind === 'run' ? line.reading.invocation.command : null;
}

/** The version of this package. */
export function version(): string {
  // The compiled files lie at different depths in the package and in the tests.
  for (let folder = new URL('./', import.meta.url); ; folder = new URL('../', folder)) {
    const file = new URL('package.json', folder);
    if (existsSync(file)) return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
    if (folder.pathname === '/') throw new Error('The package has lost its package.json');
  }
}

async function tellFailure(error: unknown, json: boolean, io: Io): Promise<number> {
  const failure = await describe(error);
  if (json) {
    const { errorDocument, print } = await import('./json.ts');
    io.stdout.write(print(errorDocument(failure.kind, failure.message)));
  }
  const paint = canvas(io, 'stderr').paint;
  io.stderr.write(`${paint('bad', 'rebind:')} ${failure.message}\n`);
  if (failure.detail !== null) io.stderr.write(`${failure.detail}\n`);
  return failure.code;
}

interface Failure {
  readonly kind: 'usage' | 'unsupported' | 'system' | 'internal';
  readonly message: string;
  readonly detail: string | null;
  readonly code: number;
}

async function describe(error: unknown): Promise<Failure> {
  if (isUsageError(error)) return { kind: 'usage', message: error.message, detail: null, code: exit.usage };
  const { escapeText } = await import('../model/text.ts');
  const message = error instanceof Error ? escapeText(error.message) : String(error);
  if (isUnsupportedError(error)) return { kind: 'unsupported', message, detail: null, code: exit.unsupported };
  if (isSystemError(error)) return { kind: 'system', message, detail: null, code: exit.unknown };
  const stack = error instanceof Error ? (error.stack ?? '').split('\n').slice(1).map(escapeText).join('\n') : '';
  return {
    kind: 'internal',
    message: `This is a bug in rebind, please report it: ${message}`,
    detail: stack,
    code: exit.unknown,
  };
}
