/**
 * The door of the command: the streams and signals of the process, and its only process.exit.
 */
import { exit } from './exit.ts';
import type { Io } from './io.ts';
import { programOf } from './pasted.ts';

// The global `process`, not an import of it: importing makes Node build all three streams, which costs milliseconds.

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Resolves with the name of the command that ran, or null for a help or a wrong command line. */
async function main(argv: readonly string[]): Promise<string | null> {
  const { commandOf, run } = await import('./run.ts');
  const command = commandOf(argv);
  const interrupted = new AbortController();
  let received: NodeJS.Signals | null = null;

  function onSignal(signal: NodeJS.Signals): void {
    received = signal;
    // A second Ctrl-C does not wait for the cleaning up.
    for (const name of signals) process.removeListener(name, onSignal);
    interrupted.abort(new Error(`Interrupted by ${signal}`));
  }

  // A wrong command line has nothing to clean up.
  if (command?.onSignal === 'abort') for (const name of signals) process.on(name, onSignal);
  process.exitCode = await run(argv, ioOfThisProcess(interrupted.signal));
  for (const name of signals) process.removeListener(name, onSignal);
  // Raised again, so that the shell sees a program that was interrupted (130) and not one that failed.
  if (received !== null) process.kill(process.pid, received);
  return command?.name ?? null;
}

/** Each stream is made when it is first used: most runs need one of them. */
function ioOfThisProcess(signal: AbortSignal): Io {
  const guarded = new Set<NodeJS.WriteStream>();
  const guard = (stream: NodeJS.WriteStream): NodeJS.WriteStream => {
    if (!guarded.has(stream)) {
      guarded.add(stream);
      stream.on('error', (error: NodeJS.ErrnoException) => {
        // Whoever read has read enough (`rebind ls | head -1`): that is success.
        if (error.code === 'EPIPE') process.exit(exit.ok);
        // What could not be printed could not be told; a failing stderr leaves nobody to tell it to.
        if (stream === process.stdout) process.stderr.write(`rebind: Cannot write the answer: ${error.message}\n`);
        process.exit(exit.unknown);
      });
    }
    return stream;
  };
  return {
    get stdout() {
      return guard(process.stdout);
    },
    get stderr() {
      return guard(process.stderr);
    },
    env: process.env,
    program: programOf(process.execPath, process.argv[1] ?? '', process.env),
    now: () => Date.now(),
    signal,
  };
}

export const ran = main(process.argv.slice(2));
