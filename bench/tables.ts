/**
 * What a bench found, as tables: printed at once, and with `--record` kept for docs/benchmarks.md.
 */
import { spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { namespaceCommand, namespaceEnvironment } from '../src/stage/namespace.ts';

export interface Table {
  /** What the README and the documentation know it by. */
  readonly name: string;
  readonly title: string;
  /** How it was measured, one or two sentences; empty when the title says it. */
  readonly note: string;
  /** The first column names the rows. */
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What bench/recorded/NAME.json holds: of each table the newest. */
export interface Recorded {
  readonly tables: readonly (Table & { readonly command: string; readonly machine: string })[];
}

/** The tables of one run. */
export class Report {
  readonly tables: Table[] = [];

  add(table: Table): void {
    this.tables.push(table);
    print(table);
  }

  /**
   * Runs `run` of a module in a network and process namespace of its own, and takes its tables in. False where this machine does not let
   * this user make one.
   */
  addFromNamespace(module: string, args: readonly string[]): boolean {
    const prefix = namespaceCommand();
    if (prefix === null) return false;
    const [file = '', ...rest] = prefix;
    const script = `import { run } from ${JSON.stringify(module)};
      import { Report } from ${JSON.stringify(import.meta.url)};
      const report = new Report();
      await run(${JSON.stringify(args)}, report);
      report.send();`;
    const node = [process.execPath, '--enable-source-maps', '--input-type=module', '-e', script];
    const { status, output } = spawnSync(file, [...rest, ...node], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
      env: namespaceEnvironment(),
    });
    if (status !== 0) throw new Error(`${module} ended with status ${status}`);
    this.tables.push(...(JSON.parse(String(output[3])) as Table[]));
    return true;
  }

  /** Hands the tables to the process outside. */
  send(): void {
    writeSync(3, JSON.stringify(this.tables));
  }
}

function print({ title, note, head, rows }: Table): void {
  const all = [head, ...rows];
  const widths = head.map((_name, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  '),
  );
  process.stdout.write(`\n${title}\n${note === '' ? '' : `${note}\n`}${lines.map((line) => `  ${line}\n`).join('')}`);
}

/** The one in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** `12.3 ms`, `0.42 ms`. */
export function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ms`;
}
