/** What a demo does with its terminal: it runs the command there, and waits for a key. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { insideNamespace } from '../stage/namespace.ts';
import { exit } from './exit.ts';
import type { Io } from './io.ts';
import { canAsk } from './question.ts';

/** The situation stays: for another terminal, or for a shell where it is in a namespace of its own. */
export async function untilKey(io: Io): Promise<void> {
  if (io.signal.aborted) return;
  if (insideNamespace() && canAsk()) {
    io.stdout.write('\nThis shell is in the namespace of the demo. Leave it with "exit" to end the demo.\n');
    const child = spawn(process.env['SHELL'] ?? 'sh', [], { stdio: 'inherit' });
    await once(child, 'exit');
    return;
  }
  if (!canAsk()) {
    io.stderr.write('The situation stays until this process is interrupted.\n');
    if (!io.signal.aborted) await once(io.signal, 'abort');
    return;
  }
  io.stdout.write('\nThe situation stays until you press a key.\n');
  process.stdin.setRawMode(true).resume();
  const key = once(process.stdin, 'data').then(() => {});
  await Promise.race([key, once(io.signal, 'abort')]);
  process.stdin.setRawMode(false).pause();
}

/** Runs a command on this terminal and resolves to its exit code. Interrupting ends it and its end is waited for. */
export async function runChild(
  [file = '', ...words]: readonly string[],
  io: Io,
  env: NodeJS.ProcessEnv,
): Promise<number> {
  const child = spawn(file, words, { stdio: ['ignore', 'inherit', 'inherit'], env });
  const stop = () => child.kill('SIGTERM');
  io.signal.addEventListener('abort', stop, { once: true });
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? exit.unknown;
  } finally {
    io.signal.removeEventListener('abort', stop);
  }
}
