/**
 * What the command really said about each staged cause: recorded with `npm run record`, pasted into the pages.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = 'tools/docs/recorded';

/** The recorded answer of a cause, or null when there is none. */
export function readRecorded(root: string, id: string): string | null {
  try {
    return readFileSync(join(root, folder, `${id}.txt`), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
