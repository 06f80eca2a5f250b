/**
 * The environment that a process was started with (proc_pid_environ(5)).
 */
import { readFileSync } from 'node:fs';

/** The value of a variable; null when it has none of that name, or may not be read. */
export function readVariable(pid: number, name: string): string | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    // It ended, or belongs to somebody else: not known.
    return null;
  }
  const entry = text.split('\0').find((pair) => pair.startsWith(`${name}=`));
  return entry === undefined ? null : entry.slice(name.length + 1);
}
