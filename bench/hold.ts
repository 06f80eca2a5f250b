/**
 * `npm run bench -- hold [--parts restarts,releases,crash,orphans,latency,speed,memory] [--runs 5] [--restarts 20] [--rate 200] [--every 1000] [--only NAME]`
 *
 * One and the same server under every way to keep it running. What is lost is counted, each kind apart; nothing is retried.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { hammer } from './load.ts';
import { begin, crash, freePort, host, orphans, type Plan, releases, restarts } from './losses.ts';
import { memoryMb, program, restarters } from './restarters.ts';
import { median, ms, type Report } from './tables.ts';

/** As it is published: the files of a build that is not joined take longer to load. */
const { hold } = (await import(
  new URL('../../dist/index.js', import.meta.url).href
)) as typeof import('../src/index.ts');
const parts: Readonly<Record<string, (plan: Plan, report: Report) => Promise<void>>> = {
  restarts,
  releases,
  crash,
  orphans,
  latency,
  speed,
  memory,
};

export async function run(args: readonly string[], report: Report): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      parts: { type: 'string', default: Object.keys(parts).join(',') },
      runs: { type: 'string', default: '5' },
      restarts: { type: 'string', default: '20' },
      rate: { type: 'string', default: '200' },
      every: { type: 'string', default: '1000' },
      only: { type: 'string' },
    },
  });
  const plan = {
    runs: Number(values.runs),
    restarts: Number(values.restarts),
    perSecond: Number(values.rate),
    everyMs: Number(values.every),
    only: values.only,
  };
  for (const name of values.parts.split(',')) {
    const part = parts[name];
    if (part === undefined)
      throw new RangeError(`There is no part ${name}: choose of ${Object.keys(parts).join(', ')}`);
    await part(plan, report);
  }
}

/** How much longer a restart takes than the program's own start. */
async function latency(_plan: Plan, report: Report): Promise<void> {
  const port = await freePort();
  const env = { ...process.env, NODE_OPTIONS: '', PORT: String(port), HOST: host, SAY: '1' };
  const own: number[] = [];
  const held: number[] = [];
  const under = await hold({
    endpoints: [`${host}:${port}`],
    command: [process.execPath, program],
    env: { ...env, SAY: '' },
  });
  await once(under, 'ready');
  const alone = { ...env, PORT: String(await freePort()) };
  for (let i = 0; i < 20; i++) {
    const startMs = performance.now();
    const child = spawn(process.execPath, [program], { env: alone, stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    own.push(performance.now() - startMs);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const restartMs = performance.now();
    await under.restart();
    held.push(performance.now() - restartMs);
    await once(under, 'retired');
  }
  await under.stop();
  await under.done;
  report.add({
    name: 'latency',
    title: 'From the order to restart until the new program serves',
    note: 'A server that boots at once, the median of 20, in turns.',
    head: ['', 'median'],
    rows: [
      ['the program alone, from its start until it listens', ms(median(own))],
      ['a restart under rebind hold', ms(median(held))],
      ['more than its own start', ms(median(held) - median(own))],
    ],
  });
}

/** Does a held socket cost the program anything? */
async function speed(_plan: Plan, report: Report): Promise<void> {
  const env = { ...process.env, NODE_OPTIONS: '', HOST: host, SAY: '1', ANSWER_MS: '0' };
  const ports = [await freePort(), await freePort()] as const;
  const plain = spawn(process.execPath, [program], {
    env: { ...env, PORT: String(ports[0]) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(plain.stdout, 'data');
  const under = await hold({
    endpoints: [`${host}:${ports[1]}`],
    command: [process.execPath, program],
    env: { ...env, PORT: String(ports[1]), SAY: '' },
  });
  await once(under, 'ready');
  const rates: [number[], number[]] = [[], []];
  const tails: [number[], number[]] = [[], []];
  for (let round = 0; round < 16; round++) {
    // In turns, and each first as often as second.
    for (const index of round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)) {
      const { perSecond, p99Ms } = await hammer(host, ports[index], 1000);
      if (round < 2) continue;
      rates[index].push(perSecond);
      tails[index].push(p99Ms);
    }
  }
  plain.kill('SIGKILL');
  await once(plain, 'exit');
  await under.stop('SIGKILL');
  await under.done;
  const base = median(rates[0]);
  report.add({
    name: 'speed',
    title: 'The same program alone and under rebind hold',
    note: '32 connections that stay open, the median of 14 rounds of 1 s, in turns.',
    head: ['', 'requests a second', 'ratio', 'p99'],
    rows: (['alone', 'under rebind hold'] as const).map((name, index) => [
      name,
      median(rates[index] ?? []).toFixed(0),
      (median(rates[index] ?? []) / base).toFixed(3),
      ms(median(tails[index] ?? [])),
    ]),
  });
}

/** Until hold has given back what its last restart needed. */
const restMs = 5_000;

/** Does hold grow with the restarts that it has done? */
async function memory(_plan: Plan, report: Report): Promise<void> {
  const [restarter] = restarters();
  if (restarter === undefined) return;
  const { started } = await begin(restarter, { BOOT_MS: '0' });
  const rows: string[][] = [];
  try {
    for (let i = 1; i <= 1000; i++) {
      await started.restart();
      if ([1, 10, 100, 500, 1000].includes(i) && started.pid !== null) {
        const busy = memoryMb(started.pid);
        await sleep(restMs);
        rows.push([String(i), `${busy.toFixed(1)} MB`, `${memoryMb(started.pid).toFixed(1)} MB`]);
      }
    }
  } finally {
    await started.stop();
  }
  report.add({
    name: 'memory',
    title: 'Memory of hold (RSS)',
    note: `Restarts one after the other, without a pause. At rest: ${restMs / 1000} s after the last. Node's own program is 45 MB of it.`,
    head: ['restarts', 'at once', 'at rest'],
    rows,
  });
}
