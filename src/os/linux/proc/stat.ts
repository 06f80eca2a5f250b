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
  /** Clock ticks after boot. */
  readonly startTicks: string;
}

/** Null when the process is gone, hidden, or the file does not read as the manual says. */
export function readStat(proc: Proc, pid: number): ProcessStat | null {
  const text = attempt(() => proc.text(`${pid}/stat`));
  return text === null ? null : parseStat(text);
}

/** The name stands in parentheses and may hold parentheses and blanks itself, so the last one ends it. */
export function parseStat(text: string): ProcessStat | null {
  const open = text.indexOf('(');
  const close = text.lastIndexOf(')');
  if (open < 0 || close < open) return null;
  const fields = text.slice(close + 2).split(' ', 20);
  const [state, parent, group, session] = fields;
  const startTicks = fields[19];
  if (state === undefined || !/^[A-Za-z]$/.test(state) || startTicks === undefined || !/^\d+$/.test(startTicks))
    return null;
  const numbers = [parent, group, session].map(Number);
  if (!numbers.every(Number.isSafeInteger)) return null;
  const [parentPid = 0, groupId = 0, sessionId = 0] = numbers;
  return {
    command: text.slice(open + 1, close),
    state,
    parent: parentPid,
    group: groupId,
    session: sessionId,
    startTicks,
  };
}
