/**
 * What people type out of habit from other tools, and the line that they mean here.
 */
import { existsSync } from 'node:fs';
import { shellWords } from './text.ts';

const commandWords: Readonly<Record<string, readonly string[]>> = {
  kill: ['free'],
  stop: ['free'],
  release: ['free'],
  unblock: ['free'],
  list: ['ls'],
  ps: ['ls'],
  lsof: ['ls'],
  netstat: ['ls'],
  ss: ['ls'],
  status: ['hold', '--status'],
  restart: ['hold', '--restart'],
  watch: ['ls', '--watch'],
  check: ['why'],
  who: ['why'],
  explain: ['why'],
  run: ['hold'],
  start: ['hold'],
  serve: ['hold'],
  examples: ['demo'],
};

/** Flags of kill, fuser, lsof and their like. Those that say what every command here does are dropped. */
const flagWords: Readonly<Record<string, readonly string[]>> = {
  '-p': [],
  '--port': [],
  '-i': [],
  '-k': [],
  '-t': [],
  '-v': ['--version'],
  '-f': ['--force'],
  '-9': ['--force'],
  '-KILL': ['--force'],
  '-SIGKILL': ['--force'],
  '-w': ['--watch'],
};

/** Options that only `rebind free` has. */
const flagsOfFree: readonly string[] = ['--force', '--yes', '-y', '--dry-run', '-n', '--grace'];

/** The line with the word of another tool replaced by ours, without the program; null when the word is not known. */
export function correctedCommand(argv: readonly string[], at: number, known: readonly string[]): string | null {
  const word = argv[at]?.toLowerCase() ?? '';
  const meant = known.includes(word) ? undefined : commandWords[word];
  if (meant === undefined || !known.includes(meant[0] ?? '')) return null;
  return shellWords(['rebind', ...meant, ...withoutHabits([...argv.slice(0, at), ...argv.slice(at + 1)])]);
}

/** The line without a flag of another tool, or null when the flag is not known. */
export function correctedFlag(argv: readonly string[], flag: string, allowed: readonly string[]): string | null {
  const meant = Object.hasOwn(flagWords, flag) ? flagWords[flag] : undefined;
  // Who says how a port is to be freed means to free it.
  const frees = meant?.[0] === '--force' || flagsOfFree.includes(flag);
  if (frees && !allowed.includes(meant?.[0] ?? flag) && (argv[0] === 'why' || !/^[a-z]+$/.test(argv[0] ?? '')))
    return shellWords(['rebind', 'free', ...withoutHabits(argv[0] === 'why' ? argv.slice(1) : argv)]);
  if (meant === undefined || meant.some((word) => !allowed.includes(word))) return null;
  return shellWords(['rebind', ...withoutHabits(argv)]);
}

function withoutHabits(argv: readonly string[]): string[] {
  const end = argv.indexOf('--');
  return argv.flatMap((word, index) => {
    const isFlag = (end < 0 || index < end) && Object.hasOwn(flagWords, word);
    return isFlag ? (flagWords[word] ?? []) : [word];
  });
}

/** `rebind hold 3000 node server.js`: the words from the first one that is no endpoint on are the command. */
export function withDashes(argv: readonly string[], command: string): string {
  const at = argv.indexOf(command);
  return shellWords(['rebind', ...argv.slice(0, at), '--', ...argv.slice(at)]);
}

/** `-- "npm start"`: one word that is a whole command line, and no file. */
export function unquoted(rest: readonly string[]): string | null {
  const [only] = rest;
  return rest.length === 1 && only !== undefined && /\S\s+\S/.test(only) && !existsSync(only) ? only.trim() : null;
}
