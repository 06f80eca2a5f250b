/**
 * What is lost under each way to keep a server running: over restarts, a bad release, a crash, and the end of the supervisor.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { os } from '../src/os/index.ts';
import { type LoadResult, load, loadModes, lostOf } from './load.ts';
import { type Restarter, restarters, type Started } from './restarters.ts';
import { ms, type Report } from './tables.ts';

export const host = '127.0.0.1';
/** The server's own start takes this long, busy, as real programs do. */
const bootMs = 300;
const answerMs = 10;
const settleMs = 1_500;

export interface Plan {
  readonly runs: number;
  readonly restarts: number;
  readonly perSecond: number;
  readonly everyMs: number;
  readonly only: string | undefined;
}

/** Restarts under five kinds of traffic at once, which share the rate. */
export async function restarts(plan: Plan, report: Report): Promise<void> {
  const rows: { name: string; sums: LoadResult[] }[] = [];
  for (const restarter of chosen(plan)) {
    const sums: LoadResult[] = [];
    for (let i = 0; i < plan.runs; i++) {
      for (const [index, result] of (await restartUnderLoad(restarter, plan)).entries()) {
        const sum = sums[index];
        if (sum === undefined) sums[index] = result;
        else add(sum, result);
      }
    }
    rows.push({ name: restarter.name, sums });
    const lost = sums.map((sum, index) => `${loadModes[index]} ${lostOf(sum)}`).join(', ');
    console.log(`${restarter.name}: lost ${lost}`);
  }
  const note = `${plan.runs} runs of ${plan.restarts} restarts, one each ${plan.everyMs} ms, under ${plan.perSecond} requests a second: new connections, 20 kept ones, new ones whose first byte comes after 20 ms, bursts of 20, and bodies of 64 kB in two halves, in equal parts.`;
  report.add({
    name: 'restarts',
    title: 'Requests lost over restarts of a server that boots for 0.3 s, by how they were lost',
    note,
    head: ['', 'sent', 'refused', 'reset', 'ended early', 'no answer in 5 s', 'other'],
    rows: rows.map(({ name, sums }) => {
      const total = (pick: (result: LoadResult) => number): string => String(sums.reduce((n, one) => n + pick(one), 0));
      return [
        name,
        total((one) => one.sent),
        total((one) => one.refused),
        total((one) => one.reset),
        total((one) => one.eof),
        total((one) => one.timeout + one.hang),
        total((one) => one.other),
      ];
    }),
  });
  report.add({
    name: 'restarts-by-traffic',
    title: 'The same, by what was lost',
    note: '',
    head: ['', 'new', 'keep-alive', 'first byte late', 'bursts', 'bodies'],
    rows: rows.map(({ name, sums }) => [name, ...sums.map((one) => String(lostOf(one)))]),
  });
  report.add({
    name: 'ways',
    title: 'How each of them is run',
    note: 'The server has no signal handler, except where it says graceful: there it has the textbook `server.close(() => process.exit())`.',
    head: ['', 'command'],
    rows: chosen(plan).map(({ name, command }) => [name, command]),
  });
}

async function restartUnderLoad(restarter: Restarter, plan: Plan): Promise<LoadResult[]> {
  const { port, started } = await begin(restarter, { BOOT_MS: String(bootMs), BURN_MS: '1' });
  try {
    const end = new AbortController();
    const perSecond = plan.perSecond / loadModes.length;
    const traffic = loadModes.map((mode) => load({ host, port, mode, perSecond, signal: end.signal }));
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
    return results;
  } finally {
    await started.stop();
  }
}

function add(sum: LoadResult, result: LoadResult): void {
  for (const name of ['sent', 'ok', 'refused', 'reset', 'eof', 'timeout', 'hang', 'other'] as const)
    sum[name] += result[name];
}

/** A release that does not start: who still answers? */
export async function releases(plan: Plan, report: Report): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'rebind-bench-'));
  const mode = join(directory, 'mode');
  const rows: string[][] = [];
  for (const restarter of chosen(plan)) {
    const row = [restarter.name];
    for (const bad of ['crash', 'hang']) {
      writeFileSync(mode, '');
      const { port, started } = await begin(restarter, { BOOT_MS: '100', MODE_FILE: mode });
      try {
        writeFileSync(mode, bad);
        void started.restart();
        // Long enough for all of them to have decided: pm2 waits for 3 s.
        await sleep(5_000);
        const answered = await Promise.all(Array.from({ length: 10 }, () => serving(port)));
        row.push(`${answered.filter((pid) => pid !== null).length} of 10`);
      } finally {
        writeFileSync(mode, '');
        await started.stop();
      }
    }
    rows.push(row);
  }
  rmSync(directory, { recursive: true });
  report.add({
    name: 'releases',
    title: 'Requests answered while a bad release is rolled out',
    note: 'Ten requests, 5 s after a restart with a version that crashes at its start, or hangs before it listens.',
    head: ['', 'it crashes', 'it hangs'],
    rows,
  });
}

/** The server is killed, by nobody's plan. */
export async function crash(plan: Plan, report: Report): Promise<void> {
  const rows: string[][] = [];
  for (const restarter of chosen(plan).filter(({ respawns }) => respawns)) {
    const { port, started } = await begin(restarter, { BOOT_MS: String(bootMs) });
    try {
      const end = new AbortController();
      const traffic = load({ host, port, mode: 'new', perSecond: plan.perSecond, signal: end.signal });
      for (let i = 0; i < 8; i++) {
        await sleep(1_500);
        const pid = await serving(port);
        if (pid !== null) process.kill(pid, 'SIGKILL');
      }
      await sleep(settleMs);
      end.abort();
      const { sent, refused, reset, eof, timeout, hang, other, gapMs } = await traffic;
      rows.push([restarter.name, ...[sent, refused, reset + eof, timeout + hang, other].map(String), ms(gapMs)]);
    } finally {
      await started.stop();
    }
  }
  report.add({
    name: 'crash',
    title: 'The server is killed with SIGKILL, eight times',
    note: `Under ${plan.perSecond} new connections a second. What it was answering when it was killed is lost with it: a few requests each time.`,
    head: ['', 'sent', 'refused', 'cut off', 'no answer in 5 s', 'other', 'longest gap'],
    rows,
  });
}

/** The supervisor is killed. */
export async function orphans(plan: Plan, report: Report): Promise<void> {
  const rows: string[][] = [];
  for (const restarter of chosen(plan)) {
    const { port, started } = await begin(restarter, { BOOT_MS: '0' });
    const supervisor = started.pid;
    if (supervisor === null) {
      await started.stop();
      continue;
    }
    const request = {
      endpoint: { protocol: 'tcp', address: host, port },
      options: { reuseAddress: true, reusePort: false, v6Only: false, device: null },
    } as const;
    process.kill(supervisor, 'SIGKILL');
    const startMs = performance.now();
    let freeMs = Number.POSITIVE_INFINITY;
    while (freeMs === Number.POSITIVE_INFINITY && performance.now() - startMs < 5_000) {
      if (os().probe(request)?.errno === null) freeMs = performance.now() - startMs;
      else await sleep(1);
    }
    const orphan = freeMs === Number.POSITIVE_INFINITY ? await serving(port) : null;
    rows.push([
      restarter.name,
      Number.isFinite(freeMs) ? `bindable after ${ms(freeMs)}` : 'still blocked after 5 s',
      orphan === null ? 'none' : 'answers on',
    ]);
    await started.stop();
    if (orphan !== null && os().processes.identify(orphan) !== null) process.kill(orphan, 'SIGKILL');
  }
  report.add({
    name: 'orphans',
    title: 'The supervisor is killed with SIGKILL',
    note: '',
    head: ['', 'the port', 'the server it leaves behind'],
    rows,
  });
}

function chosen({ only }: Plan): Restarter[] {
  return restarters().filter(({ name, missing }) => {
    if (only !== undefined && !name.includes(only)) return false;
    if (missing !== null) console.log(`${name}: left out, ${missing}`);
    return missing === null;
  });
}

/** Starts the server, and waits until it answers. */
export async function begin(
  restarter: Restarter,
  env: Record<string, string>,
): Promise<{ port: number; started: Started }> {
  const port = await freePort();
  const started = await restarter.start(port, { ANSWER_MS: String(answerMs), HOST: host, ...env });
  for (let i = 0; i < 400; i++) {
    if ((await serving(port)) !== null) return { port, started };
    await sleep(50);
  }
  await started.stop();
  throw new Error(`${restarter.name}: nothing answered on ${port} within 20 s`);
}

/** The process that answers; null when nobody does. */
async function serving(port: number): Promise<number | null> {
  try {
    const response = await fetch(`http://${host}:${port}/`, {
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(2_000),
    });
    return Number((await response.text()).trim().split(' ')[1]);
  } catch {
    return null;
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, host, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
