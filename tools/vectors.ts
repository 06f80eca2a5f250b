/**
 * `npm run vectors -- FILE`: do the rules agree with what a kernel answered? The file says of which system it is.
 *
 * Prints one line a table and every difference. Leaves with 0 when all rows agree, 1 on a difference, 2 when the file
 * cannot be used.
 */
import { readFileSync } from 'node:fs';
import { checkVectors, type TableResult } from './vectors/index.ts';

const shown = 20;

const [file, ...rest] = process.argv.slice(2);
if (file === undefined || rest.length > 0) {
  console.error('Usage: npm run vectors -- FILE');
  process.exitCode = 2;
} else {
  const results = read(file);
  if (results !== null) process.exitCode = print(results);
}

function read(path: string): TableResult[] | null {
  try {
    return checkVectors(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    console.error(`Cannot check ${path}: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 2;
    return null;
  }
}

function print(results: readonly TableResult[]): number {
  let different = 0;
  for (const { table, rows, cacheRows, differences } of results) {
    const apart = cacheRows > 0 ? `, ${cacheRows} of them decided by the kernel's cache` : '';
    console.log(`${table.padEnd(10)} ${String(rows).padStart(6)} rows, ${differences.length} differences${apart}`);
    for (const { row, kernel, rules } of differences.slice(0, shown)) {
      console.log(`  ${JSON.stringify(row)} kernel ${kernel}, rules ${rules}`);
    }
    if (differences.length > shown) console.log(`  and ${differences.length - shown} more`);
    different += differences.length;
  }
  const rows = results.reduce((sum, result) => sum + result.rows, 0);
  console.log(`${'all'.padEnd(10)} ${String(rows).padStart(6)} rows, ${different} differences`);
  return different === 0 ? 0 : 1;
}
