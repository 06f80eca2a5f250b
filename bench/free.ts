/**
 * `free` and `wait` beside kill-port, fkill-cli and fuser: how long until the next server can bind, and what waiting costs.
 * Runs in a network and process namespace of its own, so that no tool can reach anything else.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { free } from '../src/free.ts';
import { os } from '../src/os/index.ts';
import { plainEnvironment } from '../src/stage/actor-process.ts';
import { hasEveryUser, insideNamespace, raiseLoopback } from '../src/stage/namespace.ts';
import { findProgram } from '../src/stage/needs.ts';
import { openStage } from '../src/stage/open.ts';
import type { Stage } from '../src/stage/stage.ts';
import { wait } from '../src/wait/wait.ts';
import { median, type Report } from './tables.ts';

const rounds = 10;
/** Fewer, because who fails here takes all the patience. */
const roundsConnected = 5;
/** A port that is not free after this long counts as still blocked. */
const patienceMs = 5_000;
const root = fileURLToPath(new URL('../../', import.meta.url));

interface Tool {
  readonly name: string;
  /** Null where it is not installed. */
  command(port: number): readonly string[] | null;
}

const tools: readonly Tool[] = [
  {
    name: 'rebind free',
    command: (port) => [process.execPath, `${root}dist/cli/rebind.cjs`, 'free', String(port), '--yes'],
  },
  { name: 'kill-port', command: (port) => [process.execPath, `${root}node_modules/kill-port/cli.js`, String(port)] },
  { name: 'fkill-cli', command: (port) => [process.execPath, `${root}node_modules/fkill-cli/cli.js`, `:${port}`] },
  { name: 'fuser -k', command: (port) => (findProgram('fuser') === null ? null : ['fuser', '-k', `${port}/tcp`]) },
];

/** Prints the tables. */
export async function run(args: readonly string[], report: Report): Promise<void> {
  if (!insideNamespace()) {
    if (!report.addFromNamespace(import.meta.url, args))
      process.stdout.write('free: not measured, because this machine does not let this user make namespaces\n');
    return;
  }
  raiseLoopback();
  const asRoot = process.getuid?.() === 0 && hasEveryUser();
  report.add({
    name: asRoot ? 'bindable' : 'bindable-user',
    title: `From the start of the tool until the next server can bind, as ${asRoot ? 'root' : 'an ordinary user'}`,
    note: 'Median, least and most in ms. The next server sets SO_REUSEADDR, as Node does.',
    head: ['', 'an idle server', 'ratio', 'a server without SO_REUSEADDR, a client connected', 'ratio'],
    rows: await comparison(),
  });
  report.add({
    name: 'library',
    title: `The library, ${rounds} rounds`,
    note: '',
    head: ['', 'ms: median, least and most'],
    rows: await library(),
  });
  report.add({
    name: 'idle',
    title: 'What waiting costs',
    note: 'The median of three waits of 10 s.',
    head: ['', ''],
    rows: [await idleCost()],
  });
}

async function comparison(): Promise<string[][]> {
  const measured: { name: string; idle: number[]; connected: number[] }[] = [];
  const rows: string[][] = [];
  for (const tool of tools) {
    if (tool.command(1) === null) {
      rows.push([tool.name, 'not installed', '', '', '']);
      continue;
    }
    const idle: number[] = [];
    const connected: number[] = [];
    for (let round = 0; round < rounds; round++) idle.push(await untilBindable(tool, withIdleServer));
    for (let round = 0; round < roundsConnected; round++) connected.push(await untilBindable(tool, withClient));
    measured.push({ name: tool.name, idle, connected });
  }
  const [own] = measured;
  const compared = measured.map(({ name, idle, connected }) => [
    name,
    summary(idle),
    ratio(idle, own?.idle ?? []),
    summary(connected),
    ratio(connected, own?.connected ?? []),
  ]);
  return [...compared, ...rows];
}

/** How many times as long as the other, by the medians. */
function ratio(values: readonly number[], own: readonly number[]): string {
  const times = median(values) / median(own);
  return Number.isFinite(times) ? `${times.toFixed(2)}x` : `more than ${Math.floor(patienceMs / median(own))}x`;
}

type Situation = (stage: Stage) => Promise<number>;

const withIdleServer: Situation = async (stage) => (await stage.nodeServer({ port: 0, host: '127.0.0.1' })).port;

const withClient: Situation = async (stage) => {
  const port = stage.freePort();
  const actor = await stage.actor('server');
  const listener = await actor.open();
  await listener.bind('127.0.0.1', port);
  await listener.listen();
  const other = await stage.actor('client');
  await (await other.open()).connect('127.0.0.1', port);
  await listener.accept();
  return port;
};

/** Runs the tool, and tries the bind until it succeeds. */
async function untilBindable(tool: Tool, situation: Situation): Promise<number> {
  await using stage = openStage();
  const port = await situation(stage);
  const [file = '', ...args] = tool.command(port) ?? [];
  const request = stage.tcp('127.0.0.1', port);
  const startedAt = performance.now();
  const child = spawn(file, args, { stdio: 'ignore', env: plainEnvironment() });
  const ended = once(child, 'exit');
  let freeAfter = Number.POSITIVE_INFINITY;
  while (performance.now() - startedAt < patienceMs) {
    if (os().probe(request)?.errno === null) {
      freeAfter = performance.now() - startedAt;
      break;
    }
    await os().events.wait({ timeoutMs: 1 });
  }
  await ended;
  return freeAfter;
}

async function library(): Promise<string[][]> {
  const afterExit: number[] = [];
  const whole: number[] = [];
  const learned: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using stage = openStage();
    const server = await stage.nodeServer({ port: 0, host: '127.0.0.1' });
    const identity = os().processes.identify(server.pid);
    const handle = identity === null ? null : os().processes.open(identity);
    if (handle === null) throw new Error('the server left');
    const startedAt = performance.now();
    const exited = os()
      .events.wait({ processes: [handle], timeoutMs: null })
      .then(() => performance.now());
    await free(`127.0.0.1:${server.port}`, { yes: true });
    const freeAt = performance.now();
    whole.push(freeAt - startedAt);
    afterExit.push(freeAt - (await exited));
    handle.close();
    learned.push(await learnedAfter(stage));
  }
  return [
    ['free(): from the call until it resolves', summary(whole)],
    ['free(): from the end of the holder until it resolves (negative: before)', summary(afterExit)],
    ['wait(): from the close of the socket until it resolves', summary(learned)],
  ];
}

/** The clock of process.hrtime is the same for all processes of a machine (CLOCK_MONOTONIC). */
async function learnedAfter(stage: Stage): Promise<number> {
  const port = stage.freePort();
  const program = `const server = require('net').createServer().listen(${port}, '127.0.0.1', () => console.log('ready'));
    process.stdin.on('data', () => { server.close(); console.log(process.hrtime.bigint().toString()); }).on('end', () => process.exit());`;
  const child = spawn(process.execPath, ['-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: plainEnvironment(),
  });
  await once(child.stdout, 'data');
  const waiting = wait(`127.0.0.1:${port}`).then(() => process.hrtime.bigint());
  await os().events.wait({ timeoutMs: 100 });
  child.stdin.write('close');
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const learnedAt = await waiting;
  child.stdin.end();
  await once(child, 'exit');
  return Number(learnedAt - BigInt(line.toString().trim())) / 1e6;
}

/** How often a process that waits is woken. */
async function idleCost(): Promise<string[]> {
  await using stage = openStage();
  const server = await stage.nodeServer({ port: 0, host: '127.0.0.1' });
  const program = `import { wait } from ${JSON.stringify(new URL('../src/wait/wait.js', import.meta.url).href)};
    import { readFileSync } from 'node:fs';
    const switches = () => Number(/^voluntary_ctxt_switches:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
    const cost = async (timeoutMs) => {
      const before = switches();
      const used = process.cpuUsage();
      await wait('127.0.0.1:${server.port}', { timeoutMs });
      const { user, system } = process.cpuUsage(used);
      return [switches() - before, (user + system) / 1000];
    };
    // Until V8 has compiled what it will compile, threads of its own wake the process.
    await cost(10_000);
    const runs = [];
    for (let i = 0; i < 3; i++) {
      // The difference of a long and a short wait: without what beginning and ending cost.
      const [short, long] = [await cost(2500), await cost(12500)];
      runs.push([(long[0] - short[0]) / 10, (long[1] - short[1]) / 10]);
    }
    const [wakeUps, busyMs] = [0, 1].map((part) => runs.map((run) => run[part]).sort((a, b) => a - b)[1]);
    console.log(wakeUps.toFixed(1) + ' wake-ups a second, ' + busyMs.toFixed(1) + ' ms of processor a second');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: plainEnvironment(),
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return ['wait() on a port that stays blocked', line.toString().trim()];
}

/** `median (least to most)`. */
function summary(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const text = (value: number | undefined): string =>
    value === undefined || value === Number.POSITIVE_INFINITY ? `still blocked after ${patienceMs}` : value.toFixed(1);
  const [least, median, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map(text);
  return least === most ? `${median}` : `${median} (${least} to ${most})`;
}
