/**
 * `node build/test/unmodified/run.js NODE [--always] [--only WORDS]`: runs every program plainly and behind each door, in the network namespace that it
 * finds itself in, and prints one line of JSON a comparison.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { processes } from './processes.ts';
import type { Door, Program } from './program.ts';
import { servers } from './servers.ts';
import { traffic } from './traffic.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const fixtures = join(root, 'test/fixtures');
const prelude = readFileSync(join(fixtures, 'unmodified/prelude.cjs'), 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('//'))
  .join(' ');
/** A program that takes longer is stopped. */
const limitMs = 20_000;
/** A program whose output depends on who is faster is given a second and a third chance, plainly and behind the door. */
const attempts = 3;

const signals: Readonly<Record<string, number>> = { SIGABRT: 6, SIGKILL: 9, SIGSEGV: 11, SIGPIPE: 13, SIGTERM: 15 };

/** One comparison. */
export interface Compared {
  readonly node: string;
  readonly program: string;
  readonly door: Door;
  /** Both as text; null when they are the same. */
  readonly different: { readonly plain: string; readonly behind: string } | null;
}

interface Seen {
  readonly out: string;
  readonly error: string;
  readonly status: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    always: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    part: { type: 'string', default: '0/1' },
  },
});
const [node = process.execPath] = positionals;
const [part = 0, parts = 1] = values.part.split('/').map(Number);
const major = Number(/node(\d+)\/bin/.exec(node)?.[1] ?? process.versions.node.split('.')[0]);
const programs = [...servers, ...traffic, ...processes]
  .filter(({ since }) => since === undefined || major >= since)
  .filter(({ always }) => !values.always || always === true)
  .filter(({ name }) => name.includes(values.only))
  .filter((_, at) => at % parts === part);
let nextPort = 20_000 + part * 10_000;
for (const program of programs) await compare(program);

async function compare(program: Program): Promise<void> {
  let plain = await run(program, null);
  for (const door of ['explain', 'own port', 'another port', 'learned port'] as const) {
    if (program.except?.[door] !== undefined) continue;
    let behind = await run(program, door);
    for (let attempt = 1; attempt < attempts && !same(plain, behind, door); attempt++) {
      plain = await run(program, null);
      behind = await run(program, door);
    }
    const isSame = same(plain, behind, door);
    const different = isSame ? null : { plain: textOf(plain), behind: textOf(behind) };
    const compared: Compared = {
      node: `Node ${major}`,
      program: program.name,
      door,
      different,
    };
    process.stdout.write(`${JSON.stringify(compared)}\n`);
  }
}

function same(plain: Seen, behind: Seen, door: Door): boolean {
  const ours =
    door === 'explain' ? (text: string, known: string) => withoutReasons(text, known) : (text: string) => text;
  return (
    plain.status === behind.status &&
    plain.out === ours(behind.out, plain.out) &&
    plain.error === ours(behind.error, plain.error)
  );
}

/** What explain adds: lines below the message, and one line of its own. */
function withoutReasons(text: string, known: string): string {
  const plain = new Set(known.split('\n'));
  return text
    .split('\n')
    .filter((line) => plain.has(line) || !/^(?:# )?(?: {2}\S|rebind: )/.test(line))
    .join('\n');
}

function textOf({ out, error, status }: Seen): string {
  return `${out}${error === '' ? '' : `--- stderr\n${error}`}--- status ${status}`;
}

async function run(program: Program, door: Door | null): Promise<Seen> {
  const port = nextPort;
  nextPort += 4;
  const folder = mkdtempSync(join(tmpdir(), 'unmodified-'));
  const as = program.as ?? 'cjs';
  const file = join(folder, `program.${as}`);
  // What stands before it on the command line has all that it needs.
  const whole = program.source === '' ? '' : `${imports(program.source)}${prelude} ${withoutImports(program.source)}`;
  writeFileSync(file, whole);
  if (as === 'ts') writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  const command = [...(program.command?.(node, root) ?? [node]), file];
  const environment: NodeJS.ProcessEnv = {
    PATH: process.env['PATH'],
    HOME: folder,
    NO_COLOR: '1',
    P: String(port),
    ROOT: root,
    KEY: join(fixtures, 'localhost.key.pem'),
    CERT: join(fixtures, 'localhost.cert.pem'),
  };
  if (door === 'explain') environment['NODE_OPTIONS'] = `--require=${root}dist/preload/explain.js`;
  const endpoint =
    door === 'own port'
      ? [program.endpoint?.(port) ?? String(port)]
      : door === 'another port'
        ? [String(port + 25_000)]
        : [];
  const isHeld = door !== null && door !== 'explain';
  const start = isHeld
    ? [process.execPath, `${root}dist/cli/rebind.cjs`, 'hold', '-q', ...endpoint, '--', ...command]
    : command;
  try {
    const { out, error, status } = await outcome(start, folder, environment);
    return { out: normal(out, folder, port), error: normal(error, folder, port), status };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function imports(source: string): string {
  return source.match(/^(?:import [^;]+;\s*)+/)?.[0] ?? '';
}

function withoutImports(source: string): string {
  return source.slice(imports(source).length);
}

function outcome(
  [file = '', ...args]: readonly string[],
  cwd: string,
  env: NodeJS.ProcessEnv,
): Promise<{ readonly out: string; readonly error: string; readonly status: number }> {
  return new Promise((done) => {
    const child = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const texts = { out: '', error: '' };
    child.stdin.on('error', () => {});
    child.stdin.end();
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      texts.out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      texts.error += text;
    });
    const end = (): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // ESRCH: nobody is left.
      }
    };
    const timer = setTimeout(end, limitMs);
    let status = -1;
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      // As a shell and hold say it.
      status = code ?? 128 + (signals[signal ?? 'SIGKILL'] ?? 0);
      // What it left behind keeps the pipes open.
      setTimeout(end, 300).unref();
    });
    child.on('close', () => {
      end();
      done({ ...texts, status });
    });
  });
}

/** Without what differs from run to run: the folder, ports, pids, times. */
function normal(text: string, folder: string, port: number): string {
  return (
    text
      .replaceAll(folder, 'FOLDER')
      .replaceAll(String(port), 'P')
      .replaceAll(String(port + 1), 'Q')
      .replaceAll(String(port + 2), 'R')
      // The runner of node --test repeats NODE_OPTIONS on the command line of its children.
      .replace(/,?--require=[^\s,]*\/preload\/(?:adopt|explain)\.js/g, '')
      .replace(/\(node:\d+\)/g, '(node:PID)')
      .replace(/\bpid \d+/g, 'pid PID')
      .replace(/duration_ms:? .*/g, 'duration')
      .replace(/\d+(?:\.\d+)? ?ms\b/g, 'MS')
  );
}
