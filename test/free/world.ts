/**
 * Processes for the tests of free and wait, and the command itself. Every process is stopped by its handle.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { plainEnvironment } from '../../src/stage/actor-process.ts';

const command = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

/** Who has not ended this long after its port was free was never asked to. */
const endsWithinMs = 5_000;

/** A program that runs. */
export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Everything it has printed. */
  printed(): string;
  /** Resolves when it has printed this. */
  line(pattern: RegExp): Promise<RegExpExecArray>;
  isAlive(): boolean;
  /** Resolves with the signal that ended it, or null when it left by itself. Its port is free a moment before that. */
  ended(): Promise<NodeJS.Signals | null>;
  /** Resolves when it has ended and everything it printed was read, also when that was before. */
  closed(): Promise<void>;
}

export interface World extends AsyncDisposable {
  readonly directory: string;
  /** Runs Node code (CommonJS) and resolves when it prints `ready`. */
  node(code: string, options?: RunOptions): Promise<Running>;
  /** Runs a program and resolves when it has printed something that matches. */
  run(command: readonly string[], ready: RegExp | null, options?: RunOptions): Promise<Running>;
  /** A process that has nothing to do with anything and must be alive at the end. */
  bystander(): Promise<Running>;
  /** Asserts that no bystander was touched. */
  assertBystanders(): void;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

export function openWorld(): World {
  const directory = mkdtempSync(join(tmpdir(), 'rebind-free-'));
  const all: Running[] = [];
  const bystanders: Running[] = [];
  const world: World = {
    directory,
    node: (code, options) => world.run([process.execPath, '-e', code], /^ready/m, options),
    async run([file = '', ...args], ready, { cwd, env, uid, gid } = {}) {
      const child = spawn(file, args, {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...plainEnvironment(), ...env },
        ...(cwd !== undefined && { cwd }),
        ...(uid !== undefined && { uid }),
        ...(gid !== undefined && { gid }),
      });
      const running = watch(child);
      all.push(running);
      if (ready !== null) await running.line(ready);
      return running;
    },
    async bystander() {
      const running = await world.node("console.log('ready'); setInterval(() => {}, 1e6)");
      bystanders.push(running);
      return running;
    },
    assertBystanders() {
      for (const each of bystanders) assert.ok(each.isAlive(), `bystander ${each.pid} was ended`);
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of all) {
        if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) continue;
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return world;
}

function watch(child: ChildProcess): Running {
  let printed = '';
  // Listened for from the start: an event that has come already does not come again.
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const waiting = new Set<() => void>();
  const read = (chunk: Buffer): void => {
    printed += chunk.toString();
    for (const look of waiting) look();
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  return {
    pid: child.pid ?? 0,
    child,
    printed: () => printed,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async ended() {
      if (child.exitCode === null && child.signalCode === null)
        await once(child, 'exit', { signal: AbortSignal.timeout(endsWithinMs) });
      return child.signalCode;
    },
    closed: () => closed,
    line: (pattern) =>
      new Promise((resolve, reject) => {
        const left = (): void => reject(new Error(`it left before it printed ${pattern}: ${printed}`));
        const look = (): void => {
          const match = pattern.exec(printed);
          if (match === null) return;
          waiting.delete(look);
          child.removeListener('close', left);
          resolve(match);
        };
        waiting.add(look);
        child.once('error', reject);
        child.once('close', left);
        look();
      }),
  };
}

/** What a run of the command left. */
export interface Ran {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The one document of `--json`. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into a document that the type checker does not know
  readonly json: any;
}

/** Runs `rebind` with `--json`, and without anybody to ask. */
export async function rebind(
  args: readonly string[],
  options: RunOptions & { readonly before?: readonly string[]; readonly text?: boolean } = {},
): Promise<Ran> {
  const running = startRebind(args, options);
  return finished(running, options.text === true);
}

/** The same, while it runs. */
export function startRebind(
  args: readonly string[],
  {
    cwd,
    env,
    before = [],
    text = false,
  }: RunOptions & { readonly before?: readonly string[]; readonly text?: boolean } = {},
): ChildProcess {
  const [file = '', ...rest] = [...before, process.execPath, command, ...args, ...(text ? [] : ['--json'])];
  return spawn(file, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...plainEnvironment(), ...env },
    ...(cwd !== undefined && { cwd }),
  });
}

export async function finished(child: ChildProcess, text = false): Promise<Ran> {
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (chunk: Buffer) => {
    output.stdout += chunk.toString();
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    output.stderr += chunk.toString();
  });
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  let json: unknown = null;
  if (!text && output.stdout !== '') json = JSON.parse(output.stdout);
  return { status, signal, ...output, json };
}

/** `remedy outcome` of every step, for assertions that read like a list. */
export function outcomes(json: { steps: readonly { remedy: string; outcome: string }[] }): string[] {
  return json.steps.map(({ remedy, outcome }) => `${remedy} ${outcome}`);
}

/** True when this user may destroy sockets in this network namespace. */
export const isRoot = process.getuid?.() === 0;
