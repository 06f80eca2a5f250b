/**
 * `listen`, `take-over` and `close` beside plain Node and the drain packages. Arguments: how many restarts (100), and `only=speed,restart,close,import`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { reserve } from '../src/index.ts';
import { hammer, load, lostOf } from './load.ts';
import { command, race } from './measure.ts';
import { median, ms, type Report } from './tables.ts';

const host = '127.0.0.1';
const program = fileURLToPath(new URL('listen-server.js', import.meta.url));
const nodes = [
  { name: '20', path: process.execPath },
  ...['22', '24', '26'].map((name) => ({
    name,
    path: fileURLToPath(new URL(`../../test/versions/node_modules/node${name}/bin/node`, import.meta.url)),
  })),
].filter(({ path }) => existsSync(path));

export async function run(args: readonly string[], report: Report): Promise<void> {
  if (!existsSync(new URL('../../dist/index.js', import.meta.url)))
    throw new Error('The servers load the library as it is published: npm run build first');
  const restarts = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 100);
  const only = args
    .find((arg) => arg.startsWith('only='))
    ?.slice(5)
    .split(',') ?? ['speed', 'restart', 'close', 'import'];
  if (only.includes('speed')) await speed(report);
  if (only.includes('restart')) await restart(restarts, report);
  if (only.includes('close')) await closing(report);
  if (only.includes('import')) importing(report);
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  /** From the start of the process to the line that it listens. */
  readonly bootMs: number;
}

async function start(env: Record<string, string>, node = process.execPath): Promise<Running> {
  const startMs = performance.now();
  const child = spawn(node, ['--no-warnings', program], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { child, port: Number(String(line).split(' ')[1]), bootMs: performance.now() - startMs };
}

async function kill({ child }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const speedRounds = 25;

/** Requests a second and the 99th percentile over 32 connections that stay open: rounds in turn, so that both see the same machine. */
async function speed(report: Report): Promise<void> {
  const ways = ['plain', 'rebind', 'options'];
  const servers = await Promise.all(ways.map((LISTEN) => start({ LISTEN })));
  const rates = new Map<string, number[]>(ways.map((way) => [way, []]));
  const tails = new Map<string, number[]>(ways.map((way) => [way, []]));
  for (let round = 0; round <= speedRounds; round++) {
    for (const [index, way] of ways.entries()) {
      const { perSecond, p99Ms } = await hammer(host, servers[index]?.port ?? 0, 1000);
      // The first round warms up.
      if (round === 0) continue;
      rates.get(way)?.push(perSecond);
      tails.get(way)?.push(p99Ms);
    }
  }
  const base = rates.get('plain') ?? [];
  const names = ['server.listen()', 'listen(server)', 'listen(server) with options'];
  report.add({
    name: 'speed',
    title: 'A server that was started by listen(), beside plain Node',
    note: `32 connections that stay open, ${speedRounds} rounds of 1 s, in turns; the ratio is the median of the ratios of each round.`,
    head: ['', 'requests a second', 'ratio', 'p99'],
    rows: ways.map((way, index) => {
      const own = rates.get(way) ?? [];
      const ratio = median(own.map((rate, round) => rate / (base[round] ?? Number.NaN)));
      return [names[index] ?? way, median(own).toFixed(0), ratio.toFixed(3), ms(median(tails.get(way) ?? []))];
    }),
  });
  await Promise.all(servers.map(kill));
}

/** Crash and start again, and take over, under 200 new connections a second. */
async function restart(times: number, report: Report): Promise<void> {
  const rows: string[][] = [];
  for (const [name, LISTEN, gentle] of [
    ['killed, plain Node', 'plain', false],
    ['killed, rebind', 'rebind', false],
    ['killed, rebind with options', 'options', false],
    ['stopped (bare close), plain', 'plain', 'stop'],
    ['taken over, rebind', 'take-over', true],
  ] as const) {
    using reserved = await reserve({ host });
    const env = {
      PORT: String(reserved.port),
      LISTEN,
      CLOSE: gentle === true ? 'rebind' : gentle === 'stop' ? 'bare' : 'none',
    };
    reserved.release();
    let current = await start(env);
    const end = new AbortController();
    const traffic = load({ host, port: current.port, mode: 'new', perSecond: 200, signal: end.signal });
    const boots: number[] = [];
    for (let i = 0; i < times; i++) {
      await sleep(100);
      const old = current;
      if (gentle === false) await kill(old);
      if (gentle === 'stop') {
        old.child.kill('SIGTERM');
        await once(old.child, 'exit');
      }
      current = await start(env);
      boots.push(current.bootMs);
      // Taken over: it ends by itself, when it has answered.
      if (gentle === true) await once(old.child, 'exit');
    }
    end.abort();
    const result = await traffic;
    await kill(current);
    const other = lostOf(result) - result.refused - result.reset;
    rows.push([name, ms(median(boots)), ...[result.refused, result.reset, other, result.sent].map(String)]);
  }
  report.add({
    name: 'restart',
    title: `${times} restarts of a server under 200 new connections a second`,
    note: '',
    head: ['', 'from its start until it accepts', 'refused', 'reset', 'lost otherwise', 'of requests'],
    rows,
  });
}

/** SIGTERM with an answer under way, connections that have just been made, and connections that are kept. */
async function closing(report: Report): Promise<void> {
  const rows: string[][] = [];
  for (const { name, path } of nodes) {
    for (const way of [
      'none',
      'bare',
      'stoppable',
      'terminus',
      'http-terminator',
      'close-with-grace',
      'http-graceful-shutdown',
      'rebind',
    ])
      rows.push(await oneClosing(name, path, way));
  }
  report.add({
    name: 'close',
    title: 'SIGTERM, and what becomes of the connections',
    note: 'One request of 2 s is under way; 20 new connections send their first byte 20 ms later; 20 kept ones are used again 50 ms later.',
    head: ['Node, way to close', 'port free after', 'the request', 'new ones lost', 'kept ones lost', 'exit after'],
    rows,
  });
}

async function oneClosing(version: string, node: string, way: string): Promise<string[]> {
  const server = await start({ CLOSE: way, LISTEN: way === 'rebind' ? 'rebind' : 'plain' }, node);
  const { port, child } = server;
  const kept = await Promise.all(Array.from({ length: 20 }, () => connection(port)));
  for (const one of kept) await one.ask();
  const slow = await connection(port);
  const answer = slow.ask('/?ms=2000');
  await sleep(300);
  const fresh = await Promise.all(Array.from({ length: 20 }, () => connection(port)));
  const exited = once(child, 'exit').then(() => performance.now());
  child.kill('SIGTERM');
  const startMs = performance.now();
  const lost = async (connections: Connection[], afterMs: number): Promise<number> => {
    await sleep(afterMs);
    const answers = await Promise.all(connections.map((one) => one.ask()));
    return answers.filter((text) => text === 'lost').length;
  };
  const [lostNew, lostKept, freeMs, inFlight] = await Promise.all([
    lost(fresh, 20),
    lost(kept, 50),
    freeAfter(port, startMs),
    answer,
  ]);
  // Clients close what is over, as they do.
  const exitMs = (await Promise.race([exited, sleep(15_000, Number.POSITIVE_INFINITY)])) - startMs;
  for (const one of [...kept, ...fresh, slow]) one.socket.destroy();
  await kill(server);
  const answered = { ok: 'answered', closing: 'answered, and told to close', lost: 'lost' }[inFlight];
  return [`${version} ${way}`, seconds(freeMs), answered, String(lostNew), String(lostKept), seconds(exitMs)];
}

interface Connection {
  readonly socket: net.Socket;
  /** `closing` when the answer says Connection: close, `ok`, or `lost`. */
  ask(path?: string): Promise<'ok' | 'closing' | 'lost'>;
}

async function connection(port: number): Promise<Connection> {
  const socket = net.connect(port, host);
  let text = '';
  let over = false;
  const wake = new Set<() => void>();
  const changed = (): void => {
    for (const one of wake) one();
  };
  socket.on('data', (chunk) => {
    text += chunk;
    changed();
  });
  for (const event of ['end', 'close', 'error'])
    socket.on(event, () => {
      over = true;
      changed();
    });
  await once(socket, 'connect');
  return {
    socket,
    ask: async (path = '/') => {
      text = '';
      if (over) return 'lost';
      socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
      while (!over && !/\r\n\r\n(?:2\r\n)?ok/.test(text))
        await new Promise<void>((resolve) => {
          wake.add(resolve);
        });
      if (!/\r\n\r\n(?:2\r\n)?ok/.test(text)) return 'lost';
      return /connection: close/i.test(text) ? 'closing' : 'ok';
    },
  };
}

/** Until another server can listen there. */
async function freeAfter(port: number, startMs: number): Promise<number> {
  for (;;) {
    const probe = net.createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false)).listen(port, host, () => resolve(true));
    });
    if (free) {
      probe.close();
      return performance.now() - startMs;
    }
    if (performance.now() - startMs > 15_000) return Number.POSITIVE_INFINITY;
    await sleep(5);
  }
}

/** What `import 'rebind'` adds to a whole process: a server has node:http already. */
function importing(report: Report): void {
  const door = new URL('../../dist/index.js', import.meta.url).href;
  const directory = mkdtempSync(join(tmpdir(), 'rebind-import-'));
  try {
    const file = (name: string, more: string): string => {
      const path = join(directory, name);
      writeFileSync(path, `import 'node:http';\n${more}`);
      return path;
    };
    const without = file('without.mjs', '');
    const using = file('with.mjs', `import ${JSON.stringify(door)};\n`);
    const [bare, whole] = race(
      { bare: command(process.execPath, [without]), whole: command(process.execPath, [using]) },
      101,
    );
    if (bare === undefined || whole === undefined) throw new Error('A race without contestants');
    report.add({
      name: 'import',
      title: 'What the import costs a program that has node:http already',
      note: '101 whole processes each, in turns.',
      head: ['', 'median', 'fastest'],
      rows: [
        ["import 'node:http'", ms(bare.medianMs), ms(bare.fastestMs)],
        ["import 'node:http', import 'rebind'", ms(whole.medianMs), ms(whole.fastestMs)],
        ['the difference', ms(whole.medianMs - bare.medianMs), ms(whole.fastestMs - bare.fastestMs)],
      ],
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function seconds(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s` : 'never';
}
