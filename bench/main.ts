/**
 * `npm run bench -- NAME`: measures one promise of the product, side by side with what else there is, and prints ratios.
 * NAME is a file of this folder that exports `run`.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What every bench exports. */
export interface Bench {
  run(args: readonly string[]): Promise<void>;
}

const folder = new URL('.', import.meta.url);
const [name = '', ...args] = process.argv.slice(2);

if (isBench(`${name}.js`)) {
  const { run } = (await import(new URL(`${name}.js`, folder).href)) as Bench;
  await run(args);
} else {
  const names = readdirSync(folder).filter(isBench);
  console.error(`Choose what to measure: ${names.map((file) => file.replace('.js', '')).join(', ')}`);
  process.exitCode = 2;
}

function isBench(file: string): boolean {
  const path = new URL(file, folder);
  return (
    /^[a-z-]+\.js$/.test(file) &&
    existsSync(path) &&
    /^export (async )?function run\b/m.test(readFileSync(fileURLToPath(path), 'utf8'))
  );
}
