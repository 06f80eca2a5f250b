/**
 * `rebind hold` as a process of its own, with what it printed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { rebind } from './harness.ts';

export interface Running extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** The first match in what it prints to stderr or stdout, also earlier; fails after 20 s. */
  printed(wanted: RegExp): Promise<RegExpExecArray>;
  /** Status or signal, as soon as it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** What to start; Default: `rebind`. */
  readonly before?: readonly string[];
}

/** Starts the command; disposing ends it, and everything that it runs. */
export function run(args: readonly string[], options: RunOptions = {}): Running {
  const [file = '', ...rest] = [...(options.before ?? []), process.execPath, rebind, ...args];
  const child = spawn(file, rest, {
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
    cwd: options.cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { out: '', err: '' };
  const listeners = new Set<() => void>();
  const gather = (name: 'out' | 'err') => (chunk: string) => {
    text[name] += chunk;
    for (const listener of listeners) listener();
  };
  child.stdout.setEncoding('utf8').on('data', gather('out'));
  child.stderr.setEncoding('utf8').on('data', gather('err'));
  const ended = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(signal ?? code ?? -1));
  });
  return {
    child,
    pid: child.pid ?? 0,
    ended,
    stdout: () => text.out,
    stderr: () => text.err,
    printed: (wanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          reject(new Error(`${wanted} was not printed within 20 s:\n${text.err}\n${text.out}`));
        }, 20_000);
        const look = (): void => {
          const found = wanted.exec(text.err) ?? wanted.exec(text.out);
          if (found === null) return;
          listeners.delete(look);
          clearTimeout(timer);
          resolve(found);
        };
        listeners.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT');
      const hurry = setTimeout(() => child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(hurry);
    },
  };
}
