/**
 * `npm run node-tests -- PATH/test [--node PATH] [--match REGEXP] [--door NAME]... [--out FILE]`: Node's own tests as the judge of "unmodified".
 *
 * A test that passes plainly must pass behind each door, too. PATH is the folder `test` of Node's sources, which are not part of this project
 * (Debian: `apt-get source nodejs`); the version does not matter, as only what passes plainly on the Node that is used counts.
 * Everything runs in a network namespace of its own, two tests at a time, and what failed behind a door is run again, plainly and behind it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const dist = join(root, 'dist');
const command = join(dist, 'cli/rebind.cjs');
/** A test that takes longer counts as failed. */
const limitMs = 60_000;
const attempts = 3;

/** The ways to start a test. `port` is the one that the test itself uses, and one beside it. */
const doors: Readonly<Record<string, (node: string, args: readonly string[], port: number) => Start | null>> = {
  explain: (node, args) => ({ file: node, args, options: `--require=${join(dist, 'preload/explain.js')}` }),
  'hold, another port': (node, args, port) => held([String(port + 4_500)], node, args),
  'hold, a learned port': (node, args) => held([], node, args),
  'hold, its own port': (node, args, port) =>
    sourceOf(args).includes('common.PORT') ? held([String(port)], node, args) : null,
  listen: (node, args) =>
    sourceOf(args).includes('.listen(')
      ? {
          file: node,
          args,
          options: `--require=${fileURLToPath(new URL('node-tests/listen-instead.js', import.meta.url))}`,
        }
      : null,
};

interface Start {
  readonly file: string;
  readonly args: readonly string[];
  readonly options?: string;
}

/** The test stands last on its command line. */
function sourceOf(args: readonly string[]): string {
  return readFileSync(args.at(-1) ?? '', 'utf8');
}

function held(endpoints: readonly string[], node: string, args: readonly string[]): Start {
  return { file: process.execPath, args: [command, 'hold', '-q', ...endpoints, '--', node, ...args] };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string', default: process.execPath },
    match: { type: 'string', default: '' },
    out: { type: 'string', default: '' },
    door: { type: 'string', multiple: true, default: Object.keys(doors) },
  },
});
const [folder] = positionals;
if (folder === undefined || !existsSync(join(folder, 'parallel'))) {
  console.error("Name the folder `test` of Node's sources, which has a folder `parallel`");
  process.exit(2);
}
if (process.env['REBIND_NODE_TESTS'] !== 'inside') {
  // A namespace: the tests listen on fixed ports, and nobody else's may be hit. Inside of it one is root, as on this machine or not.
  const inside = spawnSync(
    'unshare',
    [
      '-Urpfn',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-c',
      'ip link set lo up; exec "$@"',
      'sh',
      process.execPath,
      ...process.argv.slice(1),
    ],
    { stdio: 'inherit', env: { ...process.env, REBIND_NODE_TESTS: 'inside' } },
  );
  process.exit(inside.status ?? 1);
}

const node = resolve(values.node);
const tests = ['parallel', 'sequential']
  .flatMap((part) => readdirSync(join(folder, part)).map((name) => resolve(folder, part, name)))
  .filter((path) => /\/test-[^/]*\.m?js$/.test(path) && new RegExp(values.match).test(path));
const counts = new Map<string, { passed: number; of: number }>();
let next = 0;
await Promise.all([0, 1].map((lane) => runLane(lane)));
for (const [door, { passed, of }] of counts) console.log(`${door}: ${passed} of ${of}`);

async function runLane(lane: number): Promise<void> {
  for (;;) {
    const test = tests[next++];
    if (test === undefined) return;
    const port = 20_000 + lane * 10_000 + (next % 1_000) * 4;
    const args = [...flagsOf(test), test];
    const plain = { file: node, args };
    if (!(await passes(plain, lane, port))) continue;
    for (const [name, start] of Object.entries(doors)) {
      const through = values.door.includes(name) ? start(node, args, port) : null;
      if (through === null) continue;
      const count = counts.get(name) ?? { passed: 0, of: 0 };
      counts.set(name, count);
      const verdict = await judge(plain, through, lane, port);
      if (verdict === 'unsteady') continue;
      count.of++;
      if (verdict === 'passes') count.passed++;
      else console.log(`${name}: ${test.slice(resolve(folder ?? '').length + 1)}`);
      if (values.out !== '') appendFileSync(values.out, `${JSON.stringify({ door: name, test, verdict })}\n`);
    }
  }
}

/** A test that fails now and then by itself says nothing. */
async function judge(
  plain: Start,
  through: Start,
  lane: number,
  port: number,
): Promise<'passes' | 'fails' | 'unsteady'> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (await passes(through, lane, port)) return 'passes';
    if (!(await passes(plain, lane, port))) return 'unsteady';
  }
  return 'fails';
}

function passes({ file, args, options }: Start, lane: number, port: number): Promise<boolean> {
  const { NODE_OPTIONS: own, ...inherited } = process.env;
  const given = options ?? own;
  const environment: NodeJS.ProcessEnv = {
    ...inherited,
    TEST_THREAD_ID: String(lane),
    NODE_COMMON_PORT: String(port),
    ...(given === undefined ? {} : { NODE_OPTIONS: given }),
  };
  return new Promise((done) => {
    const child = spawn(file, [...args], { cwd: folder, env: environment, stdio: 'ignore', detached: true });
    const timer = setTimeout(() => endGroup(child), limitMs);
    child.on('exit', (status) => {
      clearTimeout(timer);
      // What it left behind must not disturb the next one.
      endGroup(child);
      rmSync(join(folder ?? '', `.tmp.${lane}`), { recursive: true, force: true, maxRetries: 3 });
      done(status === 0);
    });
    child.on('error', () => done(false));
  });
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ESRCH: nobody is left.
  }
}

/** What the test wants on the command line: `// Flags: --expose-internals`. */
function flagsOf(test: string): string[] {
  const flags = /^\/\/ Flags: (.+)$/m.exec(readFileSync(test, 'utf8'))?.[1];
  return flags === undefined ? [] : flags.trim().split(/\s+/);
}
