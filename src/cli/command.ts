/**
 * The entry of a command. commands.ts lists all entries; the build, the parser, the help, the completions, the man page and
 * docs/cli.md read them and nothing else.
 */
import type { ExitCode } from './exit.ts';
import type { Io } from './io.ts';

/** What a shell can offer for an operand or a flag's value: what this machine knows, or a fixed list. */
export type Values = 'endpoints' | 'causes' | 'topics' | readonly string[];

export interface Operand {
  /** As it stands in a usage line, without brackets. */
  readonly name: string;
  readonly summary: string;
  /** `some`: one or more; `any`: none or more. @default 'one' */
  readonly count?: 'one' | 'optional' | 'some' | 'any';
  readonly values?: Values;
}

export interface Flag {
  /** The long name, without dashes. */
  readonly name: string;
  /** One letter, without a dash. */
  readonly short?: string;
  /** One sentence without a full stop. */
  readonly summary: string;
  /** Present when the flag takes a value. */
  readonly value?: { readonly name: string; readonly values?: Values };
  /** True when `--no-NAME` exists too. */
  readonly negatable?: boolean;
  /** May be given more than once. */
  readonly repeatable?: boolean;
}

/** What was typed after the name of a command, checked against the table. */
export interface Invocation {
  readonly command: Command;
  /** The whole table, for the commands that describe the others. */
  readonly commands: readonly Command[];
  readonly operands: readonly string[];
  /** What came after `--`, null without it. Only for a command with `rest`. */
  readonly rest: readonly string[] | null;
  /** True, false (`--no-NAME`), or undefined when it was not given. */
  flag(name: string): boolean | undefined;
  /** The value of a flag, or undefined when it was not given. The last one counts. */
  value(name: string): string | undefined;
  /** Every value of a repeatable flag, in order. */
  values(name: string): readonly string[];
}

/** The module that a command loads when it runs. */
export interface CommandModule {
  run(invocation: Invocation, io: Io): ExitCode | Promise<ExitCode>;
}

export interface Example {
  readonly command: string;
  readonly summary: string;
}

/** What running a command may do to the machine. */
export type Effect =
  /** Reads only. */
  | 'read'
  /** Starts processes or opens sockets of its own, and stops only those. */
  | 'write'
  /** Stops processes of others, or removes what they left. */
  | 'destructive';

/** What the help says of it. */
export const effectWords: Readonly<Record<Effect, string>> = {
  read: 'reads only',
  write: 'starts processes or opens sockets of its own, and stops only those',
  destructive: 'may stop processes of others, or remove what they left',
};

export interface Command {
  readonly name: string;
  /** One line without a full stop, for the list of commands. */
  readonly summary: string;
  /** Paragraphs of plain text. */
  readonly page: readonly string[];
  readonly operands: readonly Operand[];
  /** What stands after `--`, such as the command line of a program. */
  readonly rest?: Operand;
  readonly flags: readonly Flag[];
  readonly examples: readonly Example[];
  readonly effect: Effect;
  /**
   * True when the code is part of the one file that runs from compiled code. The other commands are loaded as modules, so
   * that a command that runs for months loads nothing it does not need.
   */
  readonly fast: boolean;
  /** Left out of help and documentation. */
  readonly hidden?: boolean;
  /**
   * What Ctrl-C does. `die` (the default): the process exits at once, there is nothing to clean up. `abort`: `io.signal` is
   * aborted, the command cleans up and returns, and the signal is raised again. `own`: the command handles signals itself.
   */
  readonly onSignal?: 'die' | 'abort' | 'own';
  /** Loads the code, a file in commands/, so that `--help` and a usage error never load what only a real run needs. */
  load(): Promise<CommandModule>;
}
