/**
 * Programs of macOS, by their full paths, for what is read where libSystem cannot be called or a structure has another size.
 */

/** These take tenths of a second; a stuck one must not hold anybody up. */
const limitMs = 10_000;
const mostBytes = 67_108_864;

/** What a program printed, or why it did not. Exit status 1 of lsof means that it found nothing. */
export type Ran = { readonly text: string } | { readonly why: string };

/** Runs one of the programs, in English. */
export function run(program: '/usr/sbin/lsof' | '/usr/sbin/netstat' | '/bin/ps', args: readonly string[]): Ran {
  const { spawnSync } = process.getBuiltinModule('node:child_process');
  const { error, stdout, status, signal } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: limitMs,
    maxBuffer: mostBytes,
  });
  if (error !== undefined) return { why: (error as NodeJS.ErrnoException).code ?? error.message };
  if (signal !== null) return { why: signal };
  if (status !== 0 && stdout === '' && program !== '/usr/sbin/lsof') return { why: `exit status ${status}` };
  return { text: stdout };
}
