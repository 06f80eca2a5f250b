/**
 * The environment that a process was started with (proc_pid_environ(5)).
 */
import { placeOf } from './living-thread.ts';
import { attempt, openProc } from './proc.ts';

/** More than the kernel lets a process be started with by default: a quarter of an 8 MB stack (execve(2)). */
const limit = 4_194_304;

/** The value of a variable; null when it has none of that name, or may not be read. */
export function readVariable(pid: number, name: string): string | null {
  const proc = openProc('/proc');
  const text = attempt(() => proc.text(`${placeOf(proc, pid)}/environ`, limit));
  const entry = text?.split('\0').find((pair) => pair.startsWith(`${name}=`));
  return entry === undefined ? null : entry.slice(name.length + 1);
}
