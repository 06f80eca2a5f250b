/**
 * Runs the real command, as a test's child.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The command as it is shipped: `npm test` builds it first. */
export const main = fileURLToPath(new URL('../../../dist/cli/rebind.cjs', import.meta.url));

export interface Ran {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `rebind` with these words, without colour and outside of a terminal unless `env` says otherwise. */
export function rebind(words: readonly string[], env: NodeJS.ProcessEnv = {}): Ran {
  const { NO_COLOR, FORCE_COLOR, ...rest } = process.env;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [main, ...words], {
    encoding: 'utf8',
    env: { ...rest, ...env },
    timeout: 30_000,
  });
  return { code: status, signal, stdout, stderr };
}

/** Whether a program is on the path. */
export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0;
}

/** A folder with an executable `rebind`, to be put in front of PATH; disposing removes it. */
export function installed(): { readonly folder: string } & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'rebind-bin-'));
  const file = join(folder, 'rebind');
  writeFileSync(file, `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`);
  chmodSync(file, 0o755);
  return { folder, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
}
