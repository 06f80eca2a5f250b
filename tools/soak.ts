/**
 * `npm run soak [-- --minutes N]`: one hold under everything at once: restarts, releases that crash, hang or need much memory, killed servers,
 * hostile peers of another user, too few descriptors, a log that nobody reads; while clients speak HTTP/1, WebSocket, HTTP/2 and TLS, at most
 * 200 requests a second. Fails when anything was refused, or lost beyond what a killed process had accepted, or when hold grows.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import WebSocket from 'ws';
import { load } from '../bench/load.ts';
import { connectionsOf, http2Client, Ledger, tlsClient, webSocketClient } from './soak-clients.ts';

/** A reference to a file, for who cannot reach it by its name (open(2)). The same number on every architecture of Node. */
const O_PATH = 0o10000000;

const root = fileURLToPath(new URL('../../', import.meta.url));
const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError('--minutes is a number above 0');

const directory = mkdtempSync(join(tmpdir(), 'rebind-soak-'));
const modeFile = join(directory, 'mode');
const release = (mode: '' | 'crash' | 'hang' | 'heavy'): void => writeFileSync(modeFile, mode);
release('');

const [httpPort, http2Port, tlsPort] = await freePorts(3);
const endpoints = [httpPort, http2Port, tlsPort].map((port) => `127.0.0.1:${port}`);
const hold = spawn(
  process.execPath,
  [
    // A port for the inspector, which is opened when the memory is measured: what was not collected yet is no growth.
    '--inspect-port=127.0.0.1:0',
    `${root}dist/cli/rebind.cjs`,
    'hold',
    ...endpoints,
    '--ready-timeout',
    '2s',
    '--',
    process.execPath,
    `${root}tools/soak-program.cjs`,
  ],
  {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      MODE_FILE: modeFile,
      FIXTURES: `${root}test/fixtures`,
      HTTP_PORT: String(httpPort),
      HTTP2_PORT: String(http2Port),
      TLS_PORT: String(tlsPort),
    },
  },
);
const pid = hold.pid ?? 0;
let log = '';
hold.stderr.setEncoding('utf8').on('data', (chunk: string) => {
  log = (log + chunk).slice(-200_000);
});
let isOver = false;
hold.on('exit', () => {
  isOver = true;
});
await until(() => /is ready/.test(log));

const ledger = new Ledger();
const end = new AbortController();
const { signal } = end;
const traffic = [
  load({
    host: '127.0.0.1',
    port: httpPort,
    mode: 'new',
    perSecond: 40,
    signal,
    onLost: (how, from) => ledger.lost('HTTP/1', how, httpPort, from),
  }),
  load({
    host: '127.0.0.1',
    port: httpPort,
    mode: 'keep-alive',
    perSecond: 40,
    signal,
    onLost: (how, from) => ledger.lost('kept', how, httpPort, from),
  }),
  load({
    host: '127.0.0.1',
    port: httpPort,
    mode: 'late',
    perSecond: 20,
    signal,
    onLost: (how, from) => ledger.lost('late', how, httpPort, from),
  }),
  webSocketClient(httpPort, 20, signal, ledger),
  http2Client(http2Port, 'http', 40, signal, ledger),
  http2Client(tlsPort, 'https', 20, signal, ledger),
  tlsClient(tlsPort, 20, signal, ledger),
];

const control = (JSON.parse(await (await fetch(`http://127.0.0.1:${httpPort}/passed`)).text()) as { control: string })
  .control;
const done: Record<string, number> = {};
/** What was done when, to be read beside what was lost. */
const journal: string[] = [];
/** What hostile peers got as far as the kernel. */
const attacks = { connections: 0, messages: 0 };
const durationMs = minutes * 60_000;
const startMs = performance.now();
let random = Number(values.seed);
const next = (below: number): number => {
  random = (random * 1_103_515_245 + 12_345) & 0x7fffffff;
  return random % below;
};

const disturbances: Readonly<Record<string, () => Promise<void> | void>> = {
  restart: () => void hold.kill('SIGHUP'),
  'release that crashes': () => badRelease('crash'),
  'release that hangs': () => badRelease('hang'),
  'release that needs 128 MB': () => badRelease('heavy'),
  'killed server': killServer,
  'hostile peers': hostilePeers,
  'too few descriptors': tooFewDescriptors,
};

/** Connected when the memory is measured first. */
const inspector = { current: null as WebSocket | null };
let early: Usage | null = null;
let isLogLost = false;
try {
  while (performance.now() - startMs < durationMs && !isOver) {
    const names = Object.keys(disturbances);
    const name = names[next(names.length)] ?? 'restart';
    journal.push(`${new Date().toISOString()} ${name}`);
    await disturbances[name]?.();
    done[name] = (done[name] ?? 0) + 1;
    // Faster before the first measurement: what V8 compiles, and the fifty runs that a status tells of, are there after some sixty runs.
    await sleep(early === null ? 300 + next(500) : 1_500 + next(2_000));
    // At minute 2 of 10, when everything has happened.
    if (early === null && performance.now() - startMs > durationMs / 5) early = await settledUsage();
    if (!isLogLost && performance.now() - startMs > durationMs / 2) {
      isLogLost = true;
      hold.stderr.destroy();
    }
  }
  const late = await settledUsage();
  end.abort();
  const results = await Promise.all(traffic);
  report(
    early ?? late,
    late,
    results.reduce((sum, one) => sum + one.sent, 0),
  );
} finally {
  end.abort();
  inspector.current?.terminate();
  hold.kill('SIGINT');
  await until(() => isOver);
  rmSync(directory, { recursive: true });
}

function report(first: Usage, last: Usage, sent: number): void {
  const seconds = Math.round((performance.now() - startMs) / 1_000);
  console.log(
    `${seconds} s, ${sent} requests, Node ${process.version}, Linux, ${cpus().length} cores, ${cpus()[0]?.model ?? ''}`,
  );
  console.log(
    Object.entries(done)
      .map(([name, times]) => `${times} × ${name}`)
      .join(', '),
  );
  console.log(`${attacks.connections} connections and ${attacks.messages} messages of hostile peers`);
  console.log(
    `refused: ${ledger.refused.length}; lost: ${ledger.unexpected.length}; of killed processes: ${ledger.ofKilled}`,
  );
  console.log(
    `HTTP/2 streams that the client gave up before it sent them: ${ledger.unsent}; over TLS, sent while GOAWAY was on its way, and named by it: ${ledger.toSendAgain}`,
  );
  const losses = [...ledger.refused, ...ledger.unexpected];
  if (losses.length > 0) for (const one of [...losses.slice(0, 200), ...journal].sort()) console.log(`  ${one}`);
  console.log(`descriptors of hold: ${first.descriptors} at a fifth of the time, ${last.descriptors} at the end`);
  console.log(
    `memory of hold: ${first.megabytes.toFixed(1)} MB and ${last.megabytes.toFixed(1)} MB, of which live ${first.heapMegabytes.toFixed(2)} MB and ${last.heapMegabytes.toFixed(2)} MB`,
  );
  const grows = last.megabytes > first.megabytes * 1.05;
  const failed =
    isOver ||
    ledger.refused.length > 0 ||
    ledger.unexpected.length > 0 ||
    first.descriptors !== last.descriptors ||
    grows;
  if (first.kinds !== last.kinds) console.log(`${first.kinds}\n${last.kinds}`);
  if (failed) console.log(`FAILED. The end of hold's log:\n${log.slice(-3_000)}`);
  process.exitCode = failed ? 1 : 0;
}

async function badRelease(mode: 'crash' | 'hang' | 'heavy'): Promise<void> {
  release(mode);
  hold.kill('SIGHUP');
  await sleep(mode === 'hang' ? 2_500 : 1_000);
  release('');
}

async function killServer(): Promise<void> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/`)).text();
  const server = Number(text.split(' ')[1]);
  try {
    // It accepts nothing between the look at its connections and its end.
    process.kill(server, 'SIGSTOP');
    for (let looks = 0; stateOf(server) !== 'T' && looks < 500; looks++) await sleep(1);
    ledger.killed(connectionsOf(server));
  } catch (error) {
    // It was replaced meanwhile.
    journal.push(`${new Date().toISOString()} killed server: ${String(error)}`);
  }
  try {
    process.kill(server, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

/** proc_pid_stat(5). */
function stateOf(process: number): string | undefined {
  return readFileSync(`/proc/${process}/stat`, 'utf8').split(') ')[1]?.[0];
}

/** Another user of the machine, where we may become one; else our own. */
async function hostilePeers(): Promise<void> {
  const server = Number((await (await fetch(`http://127.0.0.1:${httpPort}/`)).text()).split(' ')[1]);
  const notify = /(?:^|\0)NOTIFY_SOCKET=([^\0]+)/.exec(readFileSync(`/proc/${server}/environ`, 'utf8'))?.[1] ?? '';
  const opened: number[] = [];
  try {
    for (const path of [control, notify]) opened.push(openSync(path, O_PATH));
    const peer = spawn(process.execPath, [fileURLToPath(new URL('soak-peer.js', import.meta.url))], {
      stdio: ['ignore', 'pipe', 'inherit', ...opened],
    });
    let said = '';
    peer.stdout?.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
    await once(peer, 'close');
    const [connected = 0, sent = 0] = said.split(' ').map(Number);
    attacks.connections += connected;
    attacks.messages += sent;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

async function tooFewDescriptors(): Promise<void> {
  const spare = next(6);
  limit(descriptorsOf(pid) + spare);
  hold.kill('SIGHUP');
  await sleep(1_000);
  limit(1_024);
}

function limit(soft: number): void {
  spawnSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:`]);
}

interface Usage {
  readonly descriptors: number;
  /** What they are, such as 12 × socket. */
  readonly kinds: string;
  readonly megabytes: number;
  /** What V8 and Node count of it: live objects, and buffers. */
  readonly heapMegabytes: number;
}

/** Hold's own garbage is collected. The inspector stays connected, so that it is part of every measurement. */
async function collect(): Promise<number> {
  if (inspector.current === null) {
    hold.kill('SIGUSR1');
    await until(() => /Debugger listening on ws:/.test(log));
    inspector.current = new WebSocket(/Debugger listening on (ws:\S+)/.exec(log)?.[1] ?? '');
    await once(inspector.current, 'open');
  }
  await inspect(inspector.current, 'HeapProfiler.collectGarbage', {});
  const expression = 'process.memoryUsage().heapUsed + process.memoryUsage().external';
  const { result } = await inspect(inspector.current, 'Runtime.evaluate', { expression });
  return Number(result?.value) / 1_048_576;
}

async function inspect(
  at: WebSocket,
  method: string,
  params: object,
): Promise<{ readonly result?: { readonly value?: unknown } }> {
  const answered = once(at, 'message');
  at.send(JSON.stringify({ id: 1, method, params }));
  const [answer] = await answered;
  return JSON.parse(String(answer)).result;
}

/** When nothing is started and nothing drains. */
async function settledUsage(): Promise<Usage> {
  // Longer than a silent connection of another user is kept.
  await sleep(12_000);
  const samples = [];
  for (let i = 0; i < 3; i++) {
    const heapMegabytes = await collect();
    // What V8 gave up goes back to the system in a moment.
    await sleep(2_000);
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    samples.push({ megabytes: Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1_024, heapMegabytes });
  }
  // Whatever is in use only at the moment counts for nothing.
  const [least = { megabytes: 0, heapMegabytes: 0 }] = samples.sort((a, b) => a.megabytes - b.megabytes);
  return { descriptors: descriptorsOf(pid), kinds: kindsOf(pid), ...least };
}

function kindsOf(process: number): string {
  const kinds = new Map<string, number>();
  for (const name of readdirSync(`/proc/${process}/fd`)) {
    const kind = readlinkSync(`/proc/${process}/fd/${name}`).replace(/\d+/g, 'N');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return [...kinds]
    .map(([kind, count]) => `${count} × ${kind}`)
    .sort()
    .join(', ');
}

function descriptorsOf(process: number): number {
  return readdirSync(`/proc/${process}/fd`).length;
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let i = 0; !isTrue(); i++) {
    if (i > 1_500) throw new Error(`Waited for 30 s:\n${log}`);
    await sleep(20);
  }
}

async function freePorts(count: number): Promise<[number, number, number]> {
  const { createServer } = await import('node:net');
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports as [number, number, number];
}
