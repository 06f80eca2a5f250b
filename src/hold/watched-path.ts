/**
 * One path to watch, which may be a file, a directory with everything below it, or a link to either; and whatever takes its place.
 */
import { lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { DirectoryWatch, Ear } from './directory-watch.ts';

/** What a build or an install writes by the thousand, and what tools write for themselves. */
const ignored =
  /(^|\/)(node_modules|\.git|\.hg|\.svn|\.DS_Store|\.cache|coverage|4913|\.#[^/]*|#[^/]*#|\.goutputstream-[^/]*|___jb_(tmp|old)___[^/]*)(\/|$)|___jb_(tmp|old)___$|~$|\.sw[a-z]$|\.(kate-swp|tmp)$/;
const mostLinks = 40;
/** Directories below one path. */
const mostDirectories = 50_000;

export interface Touched {
  /** As a person would name it. */
  readonly shown: string;
  readonly path: string;
  /** It was made or moved here; false for one that was written or is gone. */
  readonly isNew: boolean;
}

export class WatchedPath {
  readonly #shown: string;
  readonly #path: string;
  readonly #ears: DirectoryWatch;
  readonly #onTouch: (touched: Touched, from: WatchedPath) => void;
  /** Hears of the names that lead to it: directories, links, and its own. */
  #way: Ear[] = [];
  /** Hears what is in it, by directory. */
  readonly #tree = new Map<string, Ear>();
  readonly #visited = new Set<string>();
  #isAway = true;

  constructor(
    shown: string,
    path: string,
    ears: DirectoryWatch,
    onTouch: (touched: Touched, from: WatchedPath) => void,
  ) {
    this.#shown = shown;
    this.#path = path;
    this.#ears = ears;
    this.#onTouch = onTouch;
    this.#open();
  }

  /** True while nothing of that name is there. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Something on the way to it is another one now, or events were lost. */
  openAgain(): void {
    this.close();
    this.#open();
    this.#touch(this.#shown, this.#path, false);
  }

  close(): void {
    for (const end of this.#way.splice(0)) end();
    for (const end of this.#tree.values()) end();
    this.#tree.clear();
    this.#visited.clear();
  }

  #touch(shown: string, path: string, isNew: boolean): void {
    this.#onTouch({ shown, path, isNew }, this);
  }

  #open(): void {
    const { steps, real } = wayTo(this.#path);
    const isDirectory = real !== null && statSync(real, { throwIfNoEntry: false })?.isDirectory() === true;
    this.#isAway = real === null;
    for (const [index, { directory, name }] of steps.entries()) {
      const isFile = real !== null && !isDirectory && index === steps.length - 1;
      const ear = this.#ears.listen(directory, isFile, (changed, what) => {
        if (what === 'changed') {
          if (isFile && changed === name) this.#touch(this.#shown, this.#path, false);
        } else if (what === 'ended' || changed === name) this.openAgain();
      });
      if (ear !== null) this.#way.push(ear);
    }
    if (real !== null && isDirectory) this.#listenBelow(real, '');
  }

  /** @param below The path from the watched directory. @returns Whether there were files in it. */
  #listenBelow(directory: string, below: string): boolean {
    const identity = identityOf(directory);
    if (identity === null || this.#visited.has(identity) || this.#tree.size >= mostDirectories) return false;
    this.#visited.add(identity);
    const ear = this.#ears.listen(directory, true, (name, what) => {
      if (what === 'ended') return this.#forget(directory, identity);
      const inside = join(below, name);
      if (ignored.test(inside)) return;
      const path = join(directory, name);
      if (what === 'vanished') this.#forgetBelow(path);
      const real = what === 'appeared' ? directoryAt(path) : null;
      // A directory by itself starts nothing, but what was in it before it was listened to does.
      if (real !== null && !lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) {
        if (!this.#listenBelow(real, inside)) return;
      } else if (real !== null) this.#listenBelow(real, inside);
      this.#touch(join(this.#shown, inside), path, what === 'appeared');
    });
    if (ear === null) return false;
    this.#tree.set(directory, ear);
    let hasFiles = false;
    for (const name of list(directory)) {
      const inside = join(below, name);
      if (ignored.test(inside)) continue;
      const real = directoryAt(join(directory, name));
      if (real === null) hasFiles = true;
      else if (this.#listenBelow(real, inside)) hasFiles = true;
    }
    return hasFiles;
  }

  #forget(directory: string, identity: string): void {
    this.#tree.get(directory)?.();
    this.#tree.delete(directory);
    this.#visited.delete(identity);
  }

  #forgetBelow(path: string): void {
    for (const [directory, end] of this.#tree) {
      if (directory !== path && !directory.startsWith(`${path}/`)) continue;
      end();
      this.#tree.delete(directory);
    }
    if (this.#tree.size === 0) return;
    // Which of the visited ones they were is not known any more.
    this.#visited.clear();
    for (const directory of this.#tree.keys()) {
      const identity = identityOf(directory);
      if (identity !== null) this.#visited.add(identity);
    }
  }
}

/** The names that lead to a path, each in the directory where it is looked up, and the path without links; null when there is none. */
function wayTo(path: string): {
  readonly steps: readonly { readonly directory: string; readonly name: string }[];
  readonly real: string | null;
} {
  const steps: { directory: string; name: string }[] = [];
  const names = path.split('/').filter(Boolean);
  let at = '/';
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '.') continue;
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    steps.push({ directory: at, name });
    const full = join(at, name);
    let target: string | null;
    try {
      const stat = lstatSync(full, { throwIfNoEntry: false });
      if (stat === undefined) return { steps, real: null };
      target = stat.isSymbolicLink() ? readlinkSync(full) : null;
    } catch {
      return { steps, real: null };
    }
    if (target === null) at = full;
    else {
      if (++links > mostLinks) return { steps, real: null };
      names.unshift(...target.split('/').filter(Boolean));
      if (target.startsWith('/')) at = '/';
    }
  }
  return { steps, real: at };
}

/** The real path of a directory, or of the directory that a link leads to; null for everything else. */
function directoryAt(path: string): string | null {
  try {
    return statSync(path).isDirectory() ? realpathSync(path) : null;
  } catch {
    return null;
  }
}

function identityOf(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
