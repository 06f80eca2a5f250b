/**
 * Whose process it is: one's own, of the project one stands in, is plainly fine to stop. About others there are doubts.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, relative, sep } from 'node:path';
import type { Asker, Holder } from '../model/facts.ts';

/** Files that make a folder the root of a project, the strongest first. */
const marks = [
  ['.git', '.hg', '.jj'],
  ['package.json', 'pnpm-workspace.yaml', 'deno.json', 'Cargo.toml', 'go.mod', 'pyproject.toml'],
];

/** Why each of these processes is not plainly the asker's own to stop, by pid; the others are not in it. */
export function doubtsAbout(holders: Iterable<Holder>, asker: Asker): ReadonlyMap<number, string> {
  const doubts = new Map<number, string>();
  for (const holder of holders) {
    const doubt = doubtAbout(holder, asker);
    if (doubt !== null) doubts.set(holder.pid, doubt);
  }
  return doubts;
}

function doubtAbout(holder: Holder, asker: Asker): string | null {
  if (holder.uid !== asker.uid) return `it belongs to user ${holder.user}`;
  if (holder.cwd === null) return 'its working directory is not visible';
  if (sameProject(holder.cwd, asker.cwd)) return null;
  return projectOf(holder.cwd) === null
    ? `it runs in another directory: ${holder.cwd}`
    : `it runs in another project: ${holder.cwd}`;
}

/** The same folder, one below it, or the same root of a project. Below `/` and below one's home lies everything, so that does not count. */
export function sameProject(other: string, mine: string): boolean {
  if (other === mine) return true;
  if (mine !== dirname(mine) && mine !== homedir() && isInside(other, mine)) return true;
  const project = projectOf(other);
  return project !== null && project === projectOf(mine);
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`);
}

/** The root of the project that a directory belongs to, or null: another directory is a project only if it is marked as one. */
export function projectOf(folder: string): string | null {
  for (const names of marks) {
    for (let at = folder; at !== dirname(at); at = dirname(at))
      if (names.some((name) => existsSync(join(at, name)))) return at;
  }
  return null;
}
