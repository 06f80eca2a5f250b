/**
 * Does the command itself write a file that is watched?
 */
import { realpathSync } from 'node:fs';
import { os } from '../os/index.ts';

/** The process of these programs, or below them, that has a file open for writing; null when none is seen. */
export function writerOf(path: string, programs: readonly { readonly pid: number | undefined }[]): number | null {
  const { processes } = os();
  const pids = programs.flatMap(({ pid }) => (pid === undefined ? [] : processes.tree(pid)));
  let real: string;
  try {
    real = realpathSync(path);
  } catch {
    // It is gone again.
    return null;
  }
  return processes.writing(pids, real)[0] ?? null;
}
