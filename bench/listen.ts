/**
 * `listen`, `take-over` and `close` beside plain Node and the drain packages. Arguments: how many restarts (100), and `only=speed,restart,close,import`.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { reserve } from '../src/index.ts';
import { load, lostOf } from './load.ts';

const host = '127.0.0.1';
const program = fileURLToPath(new URL('listen-server.js', import.meta.url));
const nodes = [
  { name: '20', path: process.execPath },
  ...['22', '24', '26'].map((name) => ({
    name,
    path: fileURLToPath(new URL(`../../test/versions/node_modules/node${name}/bin/node`, import.meta.url)),
  })),
].filter(({ path }) => existsSync(path));

export async function run(args: readonly string[]): Promise<void> {
  if (!existsSync(new URL('../../dist/index.js', import.meta.url)))
    throw new Error('The servers load the library as it is published: npm run build first');
  const restarts = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 100);
  const only = args
    .find((arg) => arg.startsWith('only='))
    ?.slice(5)
    .split(',') ?? ['speed', 'restart', 'close', 'import'];
  if (only.includes('speed')) await speed();
  if (only.includes('restart')) await restart(restarts);
  if (only.includes('close')) await closing();
  if (only.includes('import')) importing();
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

/** Requests a second and the 99th percentile over 32 connections that stay open: rounds in turn, so that both see the same machine. */
async function speed(): Promise<void> {
  console.log('\nRequests a second, 32 connections, median of 9 rounds of 1 s');
  const ways = ['plain', 'rebind', 'options'];
  const servers = await Promise.all(ways.map((LISTEN) => start({ LISTEN })));
  const rates = new Map<string, number[]>(ways.map((way) => [way, []]));
  const tails = new Map<string, number[]>(ways.map((way) => [way, []]));
  for (let round = 0; round < 10; round++) {
    for (const [index, way] of ways.entries()) {
      const { perSecond, p99Ms } = await hammer(servers[index]?.port ?? 0, 1000);
      // The first round warms up.
      if (round === 0) continue;
      rates.get(way)?.push(perSecond);
      tails.get(way)?.push(p99Ms);
    }
  }
  const base = median(rates.get('plain') ?? []);
  for (const way of ways) {
    const rate = median(rates.get(way) ?? []);
    console.log(
      `  ${way.padEnd(10)} ${rate.toFixed(0).padStart(7)} /s   ${(rate / base).toFixed(3)}   p99 ${median(tails.get(way) ?? []).toFixed(2)} ms`,
    );
  }
  await Promise.all(servers.map(kill));
}

async function hammer(port: number, ms: number): Promise<{ perSecond: number; p99Ms: number }> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
  const latencies: number[] = [];
  const endMs = performance.now() + ms;
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const startMs = performance.now();
      await new Promise<void>((resolve, reject) => {
        http.get({ host, port, agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
      });
      latencies.push(performance.now() - startMs);
    }
  };
  await Promise.all(Array.from({ length: 32 }, one));
  agent.destroy();
  latencies.sort((a, b) => a - b);
  return { perSecond: (latencies.length * 1000) / ms, p99Ms: latencies[Math.floor(latencies.length * 0.99)] ?? 0 };
}

/** Crash and start again, and take over, under 200 new connections a second. */
async function restart(times: number): Promise<void> {
  console.log(`\n${times} restarts under 200 new connections a second`);
  console.log('  way                            start to accepting, median   refused  reset  other of requests');
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
    console.log(
      `  ${name.padEnd(30)} ${median(boots).toFixed(0).padStart(6)} ms ${String(result.refused).padStart(26)} ${String(result.reset).padStart(6)} ${String(other).padStart(6)} of ${result.sent}`,
    );
  }
}

/** SIGTERM with an answer under way, connections that have just been made, and connections that are kept. */
async function closing(): Promise<void> {
  console.log(
    '\nSIGTERM with one request of 2 s under way, 20 new connections that speak 20 ms later, 20 kept ones used 50 ms later',
  );
  console.log('  node way                     port free   answer        lost: new  kept   exit');
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
      await oneClosing(name, path, way);
  }
}

async function oneClosing(version: string, node: string, way: string): Promise<void> {
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
  console.log(
    `  ${version.padEnd(4)} ${way.padEnd(23)} ${seconds(freeMs)}   ${inFlight.padEnd(12)} ${String(lostNew).padStart(9)} ${String(lostKept).padStart(5)}   ${seconds(exitMs)}`,
  );
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

/** What `import 'rebind'` adds to the start of a process. */
function importing(): void {
  const door = new URL('../../dist/index.js', import.meta.url).href;
  const best = (code: string): number =>
    Math.min(
      ...Array.from({ length: 15 }, () => {
        const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', `${code}`], { encoding: 'utf8' });
        return Number(stdout);
      }),
    );
  // A server has node:http already.
  const time = (name: string): number =>
    best(
      `import 'node:http'; const t = performance.now(); await import(${JSON.stringify(name)}); console.log(performance.now() - t)`,
    );
  console.log(`\nimport 'rebind' in a program that has node:http: ${time(door).toFixed(1)} ms, best of 15`);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function seconds(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1000).toFixed(2)} s`.padStart(8) : '   never';
}
