/**
 * /proc/PID/stat (proc_pid_stat(5)): what a process is, whose child it is, and since when.
 */
import { attempt, type Proc } from './proc.ts';

export interface ProcessStat {
  /** The name that the kernel shows; it may hold anything. */
  readonly command: string;
  /** R, S, D, Z, T … */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** The device number of the terminal of its session, 0 for none. */
  readonly terminal: number;
  /** The process group in the foreground of that terminal. */
  readonly foreground: number;
  /** How many threads it has, also ended ones. */
  readonly threads: number;
  /** Clock ticks after boot. */
  readonly started: string;
}

/** Null when the process is gone, hidden, or the file does not read as the manual says. @param place Its number, or that of a thread as `1/task/2`. */
export function readStat(proc: Proc, place: number | string): ProcessStat | null {
  const text = attempt(() => proc.text(`${place}/stat`));
  return text === null ? null : parseStat(text);
}

/** True for one that holds nothing any more: a zombie, unless other threads of it go on. */
export function isOver({ state, threads }: ProcessStat): boolean {
  return state === 'X' || (state === 'Z' && threads < 2);
}

/** The name stands in parentheses and may hold parentheses and blanks itself, so the last one ends it. */
export function parseStat(text: string): ProcessStat | null {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return null;
  const fields = text.slice(close + 2).split(' ', 20);
  const [state, parent, group, session, terminal, foreground] = fields;
  const [threads, , started] = fields.slice(17);
  if (state === undefined || !/^[A-Za-z]$/.test(state) || started === undefined || !/^\d+$/.test(started)) return null;
  const numbers = { parent, group, session, terminal, foreground, threads };
  const read = Object.entries(numbers).map(([name, digits]) => [name, Number(digits)] as const);
  if (!read.every(([, number]) => Number.isSafeInteger(number))) return null;
  return {
    ...(Object.fromEntries(read) as Record<keyof typeof numbers, number>),
    command: text.slice(open + 1, close),
    state,
    started,
  };
}
