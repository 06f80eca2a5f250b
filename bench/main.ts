/**
 * `npm run bench -- NAME`: measures one promise of the product, side by side with what else there is, and prints ratios.
 * With `--record` the tables go to bench/recorded/, and `npm run docs` shows them.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { type Recorded, Report } from './tables.ts';

/** What every bench exports. */
export interface Bench {
  run(args: readonly string[], report: Report): Promise<void>;
}

/** Each is a file of this folder that exports `run`. */
const benches = ['why', 'free', 'listen', 'hold'];

const [name = '', ...rest] = process.argv.slice(2);
const args = rest.filter((arg) => arg !== '--record');

if (benches.includes(name)) {
  const { run } = (await import(new URL(`${name}.js`, import.meta.url).href)) as Bench;
  const machine = `Linux ${release()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}`;
  console.log(machine);
  const report = new Report();
  await run(args, report);
  if (args.length < rest.length)
    record({ command: ['npm run bench --', name, ...args].join(' '), machine, tables: report.tables });
} else {
  console.error(`Choose what to measure: ${benches.join(', ')}`);
  process.exitCode = 2;
}

function record(recorded: Recorded): void {
  const directory = fileURLToPath(new URL('../../bench/recorded/', import.meta.url));
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}${name}.json`, `${JSON.stringify(recorded, null, 2)}\n`);
}
