/**
 * Running somebody else's program: without a shell, with an end, its complaint kept.
 */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface CommandResult {
  /** Null when it could not be started, or was ended by a signal. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it did not finish by itself, or null. */
  readonly failure: string | null;
}

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** More than any of these programs prints about one thing. */
const mostOutput = 4 * 1024 * 1024;
/** What a program printed last is read in this time; whatever it left running may keep its output open for ever. */
const lastWordsMs = 200;
/** setTimeout counts in 31 bits, and takes more for nothing at all. */
const longestTimeoutMs = 2 ** 31 - 1;

/** Runs a program to its end. Rejects only with the signal's reason. */
export function runCommand(command: readonly string[], options: CommandOptions): Promise<CommandResult> {
  const [file = '', ...args] = command;
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    // Loaded here: most runs of the command start no program.
    const { spawn } = process.getBuiltinModule('node:child_process');
    const child = spawn(file, args, { env: { ...process.env, ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    let failure: string | null = null;
    const timeoutMs = Math.min(options.timeoutMs, longestTimeoutMs);
    let timer = setTimeout(() => {
      failure = `it did not finish within ${timeoutMs / 1000} s`;
      child.kill('SIGKILL');
    }, timeoutMs);
    const abort = (): void => {
      child.kill('SIGTERM');
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (output[name].length < mostOutput) output[name] += text;
      });
    }
    child.on('error', (error: NodeJS.ErrnoException) => {
      failure = `it could not be started: ${error.code ?? error.message}`;
    });
    child.on('exit', () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, lastWordsMs);
    });
    child.on('close', (status) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      if (options.signal?.aborted) reject(options.signal.reason);
      else resolve({ status, ...output, failure });
    });
  });
}

/** Where a program is on the PATH, or null. */
export function findProgram(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    // An empty entry means the current directory: nothing from there is run as somebody's manager.
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return path;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }
  return null;
}
