/**
 * docs/benchmarks.md, and the tables of it that other pages show: what `npm run bench -- NAME --record` wrote, and nothing else.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Recorded, Table } from '../../bench/tables.ts';

const titles: Readonly<Record<string, string>> = {
  why: '`rebind why`: how long an answer takes',
  free: '`rebind free` and `rebind wait`',
  listen: '`listen` and `close`',
  hold: '`rebind hold`',
  reach: '`rebind reach`',
};

/** The page; a bench that was not recorded yet is named as that. */
export function benchmarksPage(root: string): string {
  const parts = Object.entries(titles).map(([name, title]) => {
    const recorded = read(root, name);
    if (recorded === null) return `## ${title}\n\nNot recorded yet: \`npm run bench -- ${name} --record\`.\n`;
    const tables = recorded.tables.map(
      (table) => `### ${table.title}\n\n${note(table)}${markdown(table)}\n\`${table.command}\` on ${table.machine}.\n`,
    );
    return `## ${title}\n\n${tables.join('\n')}`;
  });
  return `# Benchmarks

What \`npm run bench\` printed. Each compares things side by side in one run, so that whatever else the machine does hits all of them alike: read the ratios and the zeros, not the milliseconds.

${parts.join('\n')}`;
}

/** One recorded table as Markdown; a sentence where there is none yet. */
export function benchTable(root: string, bench: string, name: string): string {
  const table = read(root, bench)?.tables.find((one) => one.name === name);
  if (table === undefined) return `Not recorded yet: \`npm run bench -- ${bench} --record\`.\n`;
  return `${note(table)}${markdown(table)}`;
}

function note(table: Table): string {
  return table.note === '' ? '' : `${table.note}\n\n`;
}

function markdown({ head, rows }: Table): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  const own = (cells: readonly string[]): readonly string[] =>
    cells[0]?.startsWith('rebind') ? cells.map((cell) => (cell === '' ? '' : `**${cell}**`)) : cells;
  return `${line(head)}${line(head.map((_name, column) => (column === 0 ? '---' : '---:')))}${rows.map((row) => line(own(row))).join('')}`;
}

function read(root: string, name: string): Recorded | null {
  const file = join(root, `bench/recorded/${name}.json`);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Recorded) : null;
}
