/**
 * `npm run bench -- hold [--runs 5] [--restarts 20] [--rate 200] [--every 1500] [--only NAME] [--json FILE]`
 *
 * Restarts one and the same server under load in every way there is, and counts each kind of loss apart. The five kinds
 * of traffic run together and share the rate. Nothing is retried.
 */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, release } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type LoadMode, type LoadResult, load, loadModes } from './load.ts';
import { memoryMb, type Restarter, restarters } from './restarters.ts';

/** One kind of traffic under one way to restart, over all runs. */
interface Cell {
  readonly mode: LoadMode;
  sent: number;
  refused: number;
  reset: number;
  eof: number;
  timeout: number;
  hang: number;
  other: number;
  gapMs: number;
  p99Ms: number;
}

interface Row {
  readonly name: string;
  readonly command: string;
  readonly runs: number;
  readonly cells: Cell[];
  /** Of the supervisor, MB; null where there is none of its own. */
  memoryMb: number | null;
}

/** The server's own start takes this long, busy, as real programs do. */
const bootMs = 300;
const answerMs = 10;
const settleMs = 1_500;

export async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runs: { type: 'string', default: '5' },
      restarts: { type: 'string', default: '20' },
      rate: { type: 'string', default: '200' },
      every: { type: 'string', default: '1500' },
      only: { type: 'string' },
      json: { type: 'string' },
    },
  });
  const plan = {
    runs: Number(values.runs),
    restarts: Number(values.restarts),
    perSecond: Number(values.rate),
    everyMs: Number(values.every),
  };
  const chosen = restarters().filter(({ name }) => values.only === undefined || name.includes(values.only));
  console.log(
    `${plan.runs} runs of ${plan.restarts} restarts, one each ${plan.everyMs} ms, under ${plan.perSecond} requests a second in all; Linux ${release()}, ${cpus().length} cores, Node ${process.versions.node}`,
  );
  const rows: Row[] = [];
  for (const restarter of chosen) {
    if (restarter.missing !== null) {
      console.log(`\n${restarter.name}: left out, ${restarter.missing}`);
      continue;
    }
    const row = await measure(restarter, plan);
    rows.push(row);
    print(row);
    if (values.json !== undefined)
      writeFileSync(values.json, `${JSON.stringify({ ...plan, bootMs, rows }, null, 2)}\n`);
  }
}

interface Plan {
  readonly runs: number;
  readonly restarts: number;
  readonly perSecond: number;
  readonly everyMs: number;
}

async function measure(restarter: Restarter, plan: Plan): Promise<Row> {
  const { name, command } = restarter;
  const cells = loadModes.map((mode) => ({
    mode,
    sent: 0,
    refused: 0,
    reset: 0,
    eof: 0,
    timeout: 0,
    hang: 0,
    other: 0,
    gapMs: 0,
    p99Ms: 0,
  }));
  const row: Row = { name, command, runs: plan.runs, cells, memoryMb: null };
  for (let i = 0; i < plan.runs; i++) {
    const results = await once(restarter, plan, row);
    for (const [index, result] of results.entries()) add(cells[index], result);
  }
  return row;
}

async function once(restarter: Restarter, plan: Plan, row: Row): Promise<LoadResult[]> {
  const port = await freePort();
  const started = await restarter.start(port, {
    BOOT_MS: String(bootMs),
    ANSWER_MS: String(answerMs),
    BURN_MS: '1',
    HOST: '127.0.0.1',
  });
  try {
    await answers(port);
    const end = new AbortController();
    const traffic = loadModes.map((mode) =>
      load({ host: '127.0.0.1', port, mode, perSecond: plan.perSecond / loadModes.length, signal: end.signal }),
    );
    for (let i = 0; i < plan.restarts; i++) {
      const next = sleep(plan.everyMs);
      await started.restart();
      await next;
    }
    await sleep(settleMs);
    end.abort();
    const results = await Promise.all(traffic);
    // A restart that never happened loses nothing: the answers must come from many processes.
    const who = new Set(results.flatMap(({ answers }) => [...answers.keys()]));
    if (restarter.name.startsWith('rebind') && who.size < plan.restarts * 0.75)
      throw new Error(`${restarter.name}: only ${who.size} generations answered ${plan.restarts} restarts`);
    if (started.pid !== null && restarter.name.startsWith('rebind'))
      row.memoryMb = Math.max(row.memoryMb ?? 0, memoryMb(started.pid));
    return results;
  } finally {
    await started.stop();
  }
}

function add(cell: Cell | undefined, result: LoadResult): void {
  if (cell === undefined) return;
  for (const name of ['sent', 'refused', 'reset', 'eof', 'timeout', 'hang', 'other'] as const)
    cell[name] += result[name];
  cell.gapMs = Math.max(cell.gapMs, result.gapMs);
  cell.p99Ms = Math.max(cell.p99Ms, result.p99Ms);
}

function print(row: Row): void {
  console.log(`\n${row.name}    ${row.command}`);
  const head = ['traffic', 'sent', 'refused', 'reset', 'eof', 'timeout', 'hang', 'other', 'gap ms', 'p99 ms'];
  const lines = row.cells.map((cell) => [
    cell.mode,
    cell.sent,
    cell.refused,
    cell.reset,
    cell.eof,
    cell.timeout,
    cell.hang,
    cell.other,
    Math.round(cell.gapMs),
    Math.round(cell.p99Ms),
  ]);
  for (const line of [head, ...lines])
    console.log(
      `  ${line.map((word, index) => (index === 0 ? String(word).padEnd(12) : String(word).padStart(8))).join('')}`,
    );
  if (row.memoryMb !== null) console.log(`  memory of hold: ${row.memoryMb.toFixed(1)} MB`);
}

/** Until the server answers for the first time. */
async function answers(port: number): Promise<void> {
  for (let i = 0; i < 400; i++) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      await response.text();
      return;
    } catch {
      await sleep(50);
    }
  }
  throw new Error(`Nothing answered on ${port} within 20 s`);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
