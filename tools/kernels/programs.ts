/** Programs of this machine that the kernel matrix uses. */
import { spawnSync } from 'node:child_process';
import { findProgram } from '../../src/stage/needs.ts';

/** Something is not here; the message is one sentence without a full stop. */
export class Lacking extends Error {
  override readonly name = 'Lacking';
}

/** The full path of a program. @throws {Lacking} */
export function need(program: string, packageName: string): string {
  const path = findProgram(program);
  if (path === null) throw new Lacking(`${program} is not installed (Debian's package ${packageName})`);
  return path;
}

/** What it prints. @throws {Lacking} when it fails, with the last line of its complaint. */
export function output(file: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, { cwd, encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status === 0) return stdout;
  throw new Lacking(`${file} ${args[0]} failed: ${error?.message ?? stderr.trim().split('\n').at(-1)}`);
}
