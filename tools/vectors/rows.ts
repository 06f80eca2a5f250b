/**
 * What the tables of every system have in common: rows of numbers that index a key, compared with what the rules say.
 */

/** A row where rules and kernel differ. */
export interface Difference {
  readonly row: readonly unknown[];
  readonly kernel: string;
  readonly rules: string;
}

export interface TableResult {
  readonly table: string;
  readonly rows: number;
  /** Rows that the kernel's memory decided, which the rules cannot see. */
  readonly cacheRows: number;
  readonly differences: readonly Difference[];
}

export type Row = readonly unknown[];

/** @throws {TypeError} */
export function objectOf(document: unknown): Record<string, unknown> {
  if (typeof document !== 'object' || document === null)
    throw new TypeError('Not a vector file: an object is expected');
  return document as Record<string, unknown>;
}

/** A list of names in the file. @throws {TypeError} */
export function names(file: Record<string, unknown>, name: string): readonly string[] {
  const list = file[name];
  if (!Array.isArray(list) || !list.every((entry) => typeof entry === 'string')) {
    throw new TypeError(`Not a vector file: ${name} is not a list of names`);
  }
  return list;
}

/** @throws {TypeError} when a row does not have so many numbers. */
export function numbers(row: Row, length: number): number[] {
  if (!Array.isArray(row) || row.length !== length || !row.every((cell) => typeof cell === 'number')) {
    throw new TypeError(`Row ${JSON.stringify(row)} does not fit the schema`);
  }
  return row as number[];
}

/** @throws {TypeError} */
export function at<T>(list: readonly T[], index: number | undefined): T {
  const entry = index === undefined ? undefined : list[index];
  if (entry === undefined) throw new TypeError(`Index ${index} is not in the file's key`);
  return entry;
}

/** Null when the rules give what the kernel gave, and the prediction allows it. */
export function compare(
  row: Row,
  kernel: readonly unknown[],
  rules: readonly unknown[],
  allowed = () => true,
): Difference | null {
  if (kernel.length !== rules.length) throw new TypeError(`Row ${JSON.stringify(row)} does not fit the schema`);
  if (kernel.some((errno, index) => errno !== rules[index])) {
    return { row, kernel: kernel.join(' '), rules: rules.join(' ') };
  }
  return allowed() ? null : { row, kernel: kernel.join(' '), rules: 'the prediction does not allow it' };
}

/** Runs what verifies each table that the file has. @throws {TypeError} when it has none. */
export function checkTables(
  file: Record<string, unknown>,
  verify: Readonly<Record<string, (row: Row) => Difference | null>>,
  isCached: (table: string, row: Row) => boolean = () => false,
): TableResult[] {
  const present = Object.keys(verify).filter((table) => file[table] !== undefined);
  if (present.length === 0)
    throw new TypeError(`Not a vector file: it has none of the tables ${Object.keys(verify).join(', ')}`);
  return present.map((table) => {
    const rows = file[table];
    if (!Array.isArray(rows)) throw new TypeError(`Table ${table} is not a list`);
    const differences = rows.map((row: Row) => verify[table]?.(row) ?? null).filter((found) => found !== null);
    return { table, rows: rows.length, cacheRows: rows.filter((row: Row) => isCached(table, row)).length, differences };
  });
}
