/**
 * The entry point of the process: its streams, its signals, and its only process.exit.
 */
import { fstatSync, writeSync } from 'node:fs';
import type { Command } from './command.ts';
import { exit } from './exit.ts';
import type { Io, Output } from './io.ts';
import { programOf } from './pasted.ts';
import { isTerminal } from './question.ts';

// The global `process`, not an import of it: importing makes Node build all three streams, which costs milliseconds.

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What a run was, for the file that keeps compiled code. */
export interface Run {
  readonly command: string;
  /** True when the answer needed most of the code: a port that is free needs little. */
  readonly whole: boolean;
  /** Exits at once, unless a stream may still be writing. */
  leave(): void;
}

/** Resolves to null for a help or a wrong command line. */
async function main(argv: readonly string[]): Promise<Run | null> {
  const { commandOf, readLine, run } = await import('./run.ts');
  const line = readLine(argv);
  const command = commandOf(line);
  let interrupted: AbortController | null = null;
  let received: NodeJS.Signals | null = null;

  function onSignal(signal: NodeJS.Signals): void {
    received = signal;
    // A second Ctrl-C does not wait for the cleaning up.
    for (const name of signals) process.removeListener(name, onSignal);
    interrupted?.abort(interruption(signal));
  }

  // A wrong command line has nothing to clean up.
  if (command?.onSignal === 'abort') for (const name of signals) process.on(name, onSignal);
  const { io, isWritten } = ioOfThisProcess(command, () => {
    interrupted ??= new AbortController();
    // The signal may have come before the command asked for it.
    if (received !== null) interrupted.abort(interruption(received));
    return interrupted.signal;
  });
  const code = await run(line, io);
  process.exitCode = code;
  for (const name of signals) process.removeListener(name, onSignal);
  // Raised again, so that the shell sees a program that was interrupted (130) and not one that failed.
  if (received !== null) process.kill(process.pid, received);
  if (command === null) return null;
  return {
    command: command.name,
    whole: code !== exit.ok,
    leave: () => {
      // Node would first take its heap apart.
      if (received === null && isWritten()) process.exit();
    },
  };
}

function interruption(signal: NodeJS.Signals): Error {
  return new Error(`Interrupted by ${signal}`);
}

/** Streams and the signal are made when they are first used: most runs need one stream. */
function ioOfThisProcess(
  command: Command | null,
  signalOf: () => AbortSignal,
): { readonly io: Io; readonly isWritten: () => boolean } {
  const guarded = new Set<NodeJS.WriteStream>();
  const guard = (stream: NodeJS.WriteStream): NodeJS.WriteStream => {
    if (!guarded.has(stream)) {
      guarded.add(stream);
      stream.on('error', (error: NodeJS.ErrnoException) => {
        // The reader has read enough (`rebind ls | head -1`): that is success.
        if (error.code === 'EPIPE') process.exit(exit.ok);
        // An answer that could not be printed is no answer; where stderr fails too, only the exit status is left.
        if (stream === process.stdout) process.stderr.write(`rebind: Cannot write the answer: ${error.message}\n`);
        process.exit(exit.unknown);
      });
    }
    return stream;
  };
  const direct = command !== null && mayWriteDirectly(command) ? directOutput(() => guard(process.stdout)) : null;
  const io: Io = {
    get stdout() {
      return direct ?? guard(process.stdout);
    },
    get stderr() {
      return guard(process.stderr);
    },
    get isInteractive() {
      return isTerminal(2);
    },
    env: process.env,
    program: programOf(process.execPath, process.argv[1] ?? '', process.env),
    now: () => Date.now(),
    get signal() {
      return signalOf();
    },
  };
  return { io, isWritten: () => direct !== null && guarded.size === 0 };
}

/**
 * Node's stream for stdout takes milliseconds to make. To pipes, sockets and files it writes
 * synchronously (process I/O in Node's documentation), and so does this. A terminal is asked for its width and colours.
 */
function mayWriteDirectly({ fast }: Command): boolean {
  if (!fast || process.platform === 'win32' || process.env['FORCE_COLOR'] !== undefined) return false;
  try {
    return !fstatSync(1).isCharacterDevice();
  } catch {
    // A closed descriptor is what Node's stream knows how to report.
    return false;
  }
}

function directOutput(stream: () => NodeJS.WriteStream): Output {
  let failed = false;
  return {
    write(text) {
      const bytes = Buffer.from(text);
      let written = 0;
      try {
        while (!failed && written < bytes.length) written += writeSync(1, bytes, written);
      } catch {
        // EAGAIN from a pipe that does not block, EPIPE, a full disk: Node's stream waits, or reports.
        failed = true;
      }
      if (failed) stream().write(bytes.subarray(written));
    },
  };
}

/** Not even a failure could be told, such as a module that cannot be loaded without a descriptor to spare. Node would exit with 1, which is "blocked". */
function leaveUntold(error: NodeJS.ErrnoException): never {
  try {
    writeSync(2, `rebind: This could not be carried out: ${error.code ?? 'an error in rebind itself'}\n`);
  } finally {
    process.exit(exit.unknown);
  }
}

export const ran = main(process.argv.slice(2)).catch(leaveUntold);
