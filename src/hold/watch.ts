/**
 * Changes of files, gathered: an editor writes one file in several steps, a build writes many, or replaces a directory.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { Pace } from './pace.ts';

/** Quiet for this long, and the change is over. */
const quietMs = 100;
/** How often to look for what was removed: it may come back together with the directory that it was in. */
const lookMs = 200;
/** What a build or an install writes by the thousand, and what tools write for themselves. */
const ignored = /(^|\/)(node_modules|\.git|\.hg|\.svn|\.DS_Store|\.cache|coverage)(\/|$)|~$|\.swp$|\.tmp$/;

export class Watch {
  readonly #watched: Watched[] = [];
  readonly #pace = new Pace();
  readonly #onChange: (path: string) => void;
  readonly #onNote: (sentence: string) => void;
  /** What changed last in each, since the last restart. */
  readonly #pending = new Map<Watched, string>();
  #timer: NodeJS.Timeout | undefined;
  /** A change waits until it may restart; what comes meanwhile restarts with it. */
  #isHeldBack = false;

  /** @throws {Error} with `code` ENOENT when a path does not exist. @param onChange Called with one of the paths that changed. */
  constructor(
    paths: readonly string[],
    cwd: string,
    onChange: (path: string) => void,
    onNote: (sentence: string) => void,
  ) {
    this.#onChange = onChange;
    this.#onNote = onNote;
    try {
      for (const path of paths)
        this.#watched.push(new Watched(path, resolve(cwd, path), (changed, from) => this.#changed(changed, from)));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** A generation starts. */
  started(): void {
    this.#pace.started();
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watched of this.#watched.splice(0)) watched.close();
  }

  #changed(path: string, from: Watched): void {
    if (this.#isHeldBack) return;
    this.#pending.set(from, path);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#quiet(), quietMs);
  }

  #quiet(): void {
    // What is away cannot be started: its return is the change.
    const [path] = [...this.#pending].filter(([from]) => !from.isAway).map(([, changed]) => changed);
    this.#pending.clear();
    if (path === undefined) return;
    const { waitMs, tell } = this.#pace.changed();
    if (waitMs === 0) {
      this.#onChange(path);
      return;
    }
    if (tell)
      this.#onNote(`${path} is watched and changes all the time, so the command restarts at most once a second`);
    this.#isHeldBack = true;
    this.#timer = setTimeout(() => {
      this.#isHeldBack = false;
      this.#onChange(path);
    }, waitMs);
  }
}

/** One path, which may be replaced by another file or directory of that name. */
class Watched {
  readonly #shown: string;
  readonly #path: string;
  readonly #onChange: (path: string, from: Watched) => void;
  /** Hears what is in it, when it is a directory. */
  #inside: FSWatcher | null = null;
  /** Hears of its name. Editors replace files, and a watch of the old one would hear nothing more. */
  #beside: FSWatcher | null = null;
  /** What is watched: itself, and the directory that it is in. */
  #identity: string | null = null;
  #look: NodeJS.Timeout | undefined;

  constructor(shown: string, path: string, onChange: (path: string, from: Watched) => void) {
    this.#shown = shown;
    this.#path = path;
    this.#onChange = onChange;
    this.#open();
  }

  /** True while nothing of that name is there. */
  get isAway(): boolean {
    return this.#look !== undefined;
  }

  close(): void {
    clearInterval(this.#look);
    this.#look = undefined;
    this.#inside?.close();
    this.#beside?.close();
    this.#inside = null;
    this.#beside = null;
  }

  #open(): void {
    const parent = dirname(this.#path);
    const name = basename(this.#path);
    const isDirectory = statSync(this.#path).isDirectory();
    this.#identity = identityOf(this.#path);
    this.#beside = watch(parent, (event, changed) => {
      // The directory tells its own end and move by its own name (IN_DELETE_SELF, IN_MOVE_SELF in inotify(7)).
      if (changed === basename(parent) && identityOf(this.#path) !== this.#identity) this.#openAgain();
      // Not by the inode: the file system may give its number to what takes its place.
      else if (changed === name && event === 'rename') this.#openAgain();
      else if (changed === null || (changed === name && !isDirectory)) this.#onChange(this.#shown, this);
    });
    this.#beside.on('error', () => {});
    if (!isDirectory) return;
    this.#inside = watch(this.#path, { recursive: true }, (_event, changed) => {
      if (changed === null) this.#onChange(this.#shown, this);
      else if (!ignored.test(changed)) this.#onChange(join(this.#shown, changed), this);
    });
    // It was removed: what takes its place is heard of beside it.
    this.#inside.on('error', () => {});
  }

  /** Another one may have its name now; looks again and again while there is none. */
  #openAgain(): void {
    this.close();
    try {
      this.#open();
      this.#onChange(this.#shown, this);
    } catch {
      this.close();
      this.#look = setInterval(() => {
        if (identityOf(this.#path) !== null) this.#openAgain();
      }, lookMs);
    }
  }
}

/** Of a path and the directory that it is in; null when it does not exist. */
function identityOf(path: string): string | null {
  const own = statSync(path, { throwIfNoEntry: false });
  const parent = statSync(dirname(path), { throwIfNoEntry: false });
  if (own === undefined || parent === undefined) return null;
  return [parent, own].map(({ dev, ino }) => `${dev}:${ino}`).join(' ');
}
