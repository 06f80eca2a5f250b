/**
 * `npm run bench -- NAME`: measures one promise of the product, side by side with what else there is, and prints ratios.
 * With `--record` the tables go to bench/recorded/, and `npm run docs` shows them.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Recorded, Report } from './tables.ts';

/** What every bench exports. */
export interface Bench {
  run(args: readonly string[], report: Report): Promise<void>;
}

/** Each is a file of this folder that exports `run`. */
const benches = ['why', 'free', 'listen', 'hold', 'reach'];

const [name = '', ...rest] = process.argv.slice(2);
const args = rest.filter((arg) => arg !== '--record');

if (benches.includes(name)) {
  const { run } = (await import(new URL(`${name}.js`, import.meta.url).href)) as Bench;
  const machine = `Linux ${release()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}`;
  console.log(machine);
  const report = new Report();
  await run(args, report);
  const command = ['npm run bench --', name, ...args].join(' ');
  if (args.length < rest.length) record(report.tables.map((table) => ({ ...table, command, machine })));
} else {
  console.error(`Choose what to measure: ${benches.join(', ')}`);
  process.exitCode = 2;
}

/** Tables that this run did not make stay as they are, so that parts can be measured apart. */
function record(tables: Recorded['tables']): void {
  const directory = fileURLToPath(new URL('../../bench/recorded/', import.meta.url));
  const file = `${directory}${name}.json`;
  mkdirSync(directory, { recursive: true });
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Recorded).tables : [];
  const kept = before.filter((old) => !tables.some((table) => table.name === old.name));
  writeFileSync(file, `${JSON.stringify({ tables: [...kept, ...tables] }, null, 2)}\n`);
}
