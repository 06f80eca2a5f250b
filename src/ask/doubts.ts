/**
 * May this process be asked to end? What model/may-end.ts decides from facts, with what only the file system tells: whose project it is.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import type { Asker, Facts, Holder } from '../model/facts.ts';
import { mayEnd as decide, type MayEnd } from '../model/may-end.ts';
import { isSibling } from '../model/suspect.ts';

/** Files that make a folder the root of a project, the strongest first. */
const marks = [
  ['.git', '.hg', '.jj'],
  ['package.json', 'pnpm-workspace.yaml', 'deno.json', 'Cargo.toml', 'go.mod', 'pyproject.toml'],
];

/** Why somebody should say yes before each of these processes is asked to end, by pid; the others are not in it. */
export function doubtsAbout(holders: Iterable<Holder>, facts: Facts): ReadonlyMap<number, string> {
  const doubts = new Map<number, string>();
  for (const holder of holders) {
    const verdict = mayEnd(holder, facts);
    if (verdict.kind === 'ask') doubts.set(holder.pid, verdict.why);
  }
  return doubts;
}

/** The one decision for whatever asks a process to end. */
export function mayEnd(holder: Holder, facts: Facts): MayEnd {
  const { asker } = facts;
  // Another user's directory says nothing: that it is another user is doubt enough.
  const project = holder.uid === asker.uid ? aboutProject(holder, asker) : null;
  return decide(
    holder,
    facts,
    [
      isSibling(holder, asker) ? 'it is another worker of the test run that this process belongs to' : null,
      project,
    ].filter((doubt) => doubt !== null),
  );
}

function aboutProject(holder: Holder, asker: Asker): string | null {
  if (holder.cwd === null) return 'its working directory is not visible';
  if (sameProject(holder.cwd, asker.cwd)) return null;
  return projectOf(holder.cwd) === null
    ? `it runs in another directory: ${holder.cwd}`
    : `it runs in another project: ${holder.cwd}`;
}

/** The same folder, one below it, or the same root of a project. Below `/` and below one's home lies everything, so that does not count. */
export function sameProject(other: string, mine: string): boolean {
  if (other === mine) return true;
  if (mine !== dirname(mine) && mine !== process.getBuiltinModule('node:os').homedir() && isInside(other, mine))
    return true;
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
