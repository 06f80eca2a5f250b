/**
 * Compares the rules with bind and listen results of a kernel; which system a file is of stands in its own words.
 */
import { checkDarwin } from './darwin.ts';
import { checkLinux } from './linux.ts';
import { objectOf, type TableResult } from './rows.ts';

export type { TableResult } from './rows.ts';

/**
 * Checks every table that the document has.
 *
 * @throws {TypeError} when it is not such a document, or a row does not fit the schema.
 */
export function checkVectors(document: unknown): TableResult[] {
  const file = objectOf(document);
  const { kernel } = file;
  return typeof kernel === 'string' && kernel.startsWith('xnu-') ? checkDarwin(file) : checkLinux(file);
}
