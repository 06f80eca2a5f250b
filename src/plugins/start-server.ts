/**
 * Starts a server for a test, waits until this very server answers, and stops it with everything that it started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkNames, milliseconds, portNumber, show } from '../check.ts';
import { BlockedPortError } from '../errors.ts';
import { os } from '../os/index.ts';
import type { Session } from '../os/sessions.ts';
import { type Reservation, reserve } from '../server/reserve.ts';
import { wait } from '../wait/wait.ts';
import { why } from '../why.ts';

/** What to start, and where it will listen. */
export interface StartOptions {
  /** The program and its arguments. Nothing of it goes through a shell. */
  readonly command: readonly [string, ...string[]];
  /** Where it listens. Without it a port is reserved, and the server gets it as PORT. */
  readonly port?: number;
  /** The address that is asked. @default any address of this machine */
  readonly host?: string;
  readonly cwd?: string;
  /** Besides the environment of this process. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** How long it may take to listen. @default 30000 */
  readonly timeoutMs?: number;
  /** How long it has to end before it is killed. @default 10000 */
  readonly graceMs?: number;
}

/** A server that listens. Disposing of it stops it. */
export interface StartedServer extends AsyncDisposable {
  /** `http://localhost:PORT`, or of the host. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** What it wrote last, to stdout and stderr, at most 64 kB. */
  output(): string;
  /** Asks it and all that it started to end, and kills what is left after the grace. */
  stop(): Promise<void>;
}

const mostOutput = 65_536;
/** A process that waits for a disk outlives SIGKILL for a while; a test run does not wait for it. */
const killMs = 5000;
const lastWordsMs = 200;
const names = ['command', 'port', 'host', 'cwd', 'env', 'timeoutMs', 'graceMs'];

/**
 * @throws {BlockedPortError} when somebody else has the port: why, by whom, and what would help.
 * @throws {Error} when it ends, or does not listen in time, with what it wrote last.
 * @throws {TypeError} {RangeError} when an option is wrong.
 * @example
 * ```ts
 * import { startServer } from 'rebind/test';
 *
 * await using server = await startServer({ command: ['node', 'server.js'] });
 * const response = await fetch(server.url);
 * ```
 */
export async function startServer(options: StartOptions): Promise<StartedServer> {
  checkNames('startServer()', options, names);
  const { command, host, cwd, env = {} } = options;
  if (!Array.isArray(command) || command.length === 0 || !command.every((word) => typeof word === 'string'))
    throw new TypeError(`command is a list of words, such as ['node', 'server.js'], not ${show(command)}`);
  const timeoutMs = milliseconds('timeoutMs', options.timeoutMs, 30_000);
  const graceMs = milliseconds('graceMs', options.graceMs, 10_000);
  const reserved = options.port === undefined ? await reserve() : null;
  try {
    const port = reserved?.port ?? portNumber(options.port);
    if (reserved === null) await demandFree(port, host);
    const [file, ...words] = command as [string, ...string[]];
    const child = spawn(file, words, {
      ...(cwd !== undefined && { cwd }),
      env: { ...process.env, ...(reserved !== null && { PORT: String(port) }), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A session of its own: what it starts is found again.
      detached: true,
    });
    return await listening(child, port, host, reserved, timeoutMs, graceMs);
  } catch (error) {
    reserved?.release();
    throw error;
  }
}

async function demandFree(port: number, host: string | undefined): Promise<void> {
  const report = await why(host === undefined ? port : { port, host });
  if (report.bindable === false) throw new BlockedPortError(report);
}

async function listening(
  child: ChildProcess,
  port: number,
  host: string | undefined,
  reserved: Reservation | null,
  timeoutMs: number,
  graceMs: number,
): Promise<StartedServer> {
  const output = collect(child);
  const failed = new Promise<never>((_resolve, reject) => {
    child.once('error', reject);
    child.once('exit', async (status, signal) => {
      // What it wrote last is still in the pipes, which something that it started may hold open.
      await Promise.race([
        new Promise((resolve) => child.once('close', resolve)),
        sleep(lastWordsMs, null, { ref: false }),
      ]);
      const how = signal ?? `status ${status}`;
      reject(new Error(`The server exited with ${how} before it listened on port ${port}${output.last()}`));
    });
  });
  failed.catch(() => {});
  const { pid } = child;
  if (pid === undefined) return failed;
  const session = os().lacks('sessions') === null ? os().sessions.ofChild(pid) : null;
  child.once('exit', () => session?.leaderReaped());
  const stop = stopper(child, session, reserved, graceMs);
  const enough = new AbortController();
  try {
    const place = host === undefined ? port : { port, host };
    const waited = await Promise.race([wait(place, { for: 'open', pid, timeoutMs, signal: enough.signal }), failed]);
    // It says how it exited.
    if (waited.failure === 'process-ended') await failed;
    if (!waited.done) throw await reasonOf(waited.failure, port, host, timeoutMs, output.last());
  } catch (error) {
    enough.abort();
    await stop();
    throw error;
  }
  const name = host === undefined ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return { url: `http://${name}:${port}`, port, pid, output: output.all, stop, [Symbol.asyncDispose]: stop };
}

async function reasonOf(
  failure: string | null,
  port: number,
  host: string | undefined,
  timeoutMs: number,
  last: string,
): Promise<Error> {
  if (failure === 'other-process') {
    const report = await why(host === undefined ? port : { port, host });
    if (report.bindable === false) return new BlockedPortError(report);
  }
  return new Error(`The server did not listen on port ${port} within ${timeoutMs} ms${last}`);
}

function stopper(
  child: ChildProcess,
  session: Session | null,
  reserved: Reservation | null,
  graceMs: number,
): () => Promise<void> {
  let stopping: Promise<void> | null = null;
  const left = (): boolean => (session === null ? isRunning(child) : isRunning(child) || session.members().length > 0);
  const signal = (name: 'SIGTERM' | 'SIGKILL'): void => {
    if (session === null) child.kill(name);
    else session.signal(name);
  };
  const stop = async (): Promise<void> => {
    signal('SIGTERM');
    const endMs = performance.now() + graceMs;
    while (left() && performance.now() < endMs) await sleep(20);
    if (left()) signal('SIGKILL');
    const killedMs = performance.now() + killMs;
    while (left() && performance.now() < killedMs) await sleep(20);
    session?.close();
    reserved?.release();
  };
  return () => {
    stopping ??= stop();
    return stopping;
  };
}

function isRunning({ pid, exitCode, signalCode }: ChildProcess): boolean {
  return pid !== undefined && exitCode === null && signalCode === null;
}

/** What it writes, the last of it. */
function collect(child: ChildProcess): { all(): string; last(): string } {
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-mostOutput);
    });
  return {
    all: () => text,
    last: () => (text === '' ? '. It wrote nothing' : `. It wrote:\n${text.slice(-2000).trimEnd()}`),
  };
}
