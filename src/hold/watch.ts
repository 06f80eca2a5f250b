/**
 * Changes of files, gathered: an editor writes one file in several steps, a build writes many, or replaces a directory.
 */
import { fstatSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { DirectoryWatch } from './directory-watch.ts';
import type { Faults } from './faults.ts';
import { RestartLimit } from './restart-limit.ts';
import { type Touched, WatchedPath } from './watched-path.ts';
import { writerOf } from './writer.ts';

/** Quiet for this long, and the change is over. */
const quietMs = 100;
/** Without quiet for this long, it is looked who writes: a log that the command writes all the time would hide every edit. */
const restlessMs = 1_000;

export class Watch {
  readonly #watched: WatchedPath[] = [];
  readonly #limit = new RestartLimit();
  readonly #directories: DirectoryWatch;
  readonly #faults: Faults;
  readonly #onChange: (path: string) => void;
  readonly #onNote: (sentence: string) => void;
  readonly #programs: ReadonlyMap<number, { readonly pid: number | undefined }>;
  /** Files that the command writes, which was told. */
  readonly #written = new Set<string>();
  /** Of these those that what runs now writes. */
  readonly #own = new Set<string>();
  #restlessSinceMs: number | null = null;
  /** What was touched since the last restart, by path. */
  readonly #touched = new Map<string, Touched & { readonly from: WatchedPath }>();
  #quiet: NodeJS.Timeout | undefined;
  /** A change by the command itself waits until it may restart. */
  #heldBack: NodeJS.Timeout | undefined;

  /**
   * @param onChange Called with one of the paths that changed, as a person would name it.
   * @param programs What runs, by the number of its generation: what it writes itself is no edit.
   */
  constructor(
    paths: readonly string[],
    cwd: string,
    faults: Faults,
    onChange: (path: string) => void,
    onNote: (sentence: string) => void,
    programs: ReadonlyMap<number, { readonly pid: number | undefined }>,
  ) {
    this.#faults = faults;
    this.#onChange = onChange;
    this.#onNote = onNote;
    this.#programs = programs;
    this.#directories = new DirectoryWatch(onNote, () => {
      for (const one of this.#watched) one.openAgain();
    });
    for (const path of paths)
      this.#watched.push(
        new WatchedPath(path, resolve(cwd, path), this.#directories, (touched, from) => this.#touch(touched, from)),
      );
  }

  /** A generation starts, or is ready: what changes just afterwards may be its own work. */
  started(): void {
    this.#limit.started();
    this.#own.clear();
  }

  close(): void {
    clearTimeout(this.#quiet);
    clearTimeout(this.#heldBack);
    for (const watched of this.#watched.splice(0)) watched.close();
    this.#directories.close();
  }

  #touch(touched: Touched, from: WatchedPath): void {
    if (this.#own.has(touched.path)) return;
    const before = this.#touched.get(touched.path);
    this.#touched.set(touched.path, { ...touched, isNew: before?.isNew ?? touched.isNew, from });
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#faults.guard('Looking at a change', () => this.#isQuiet()), quietMs);
    this.#restlessSinceMs ??= performance.now();
    if (performance.now() - this.#restlessSinceMs < restlessMs) return;
    this.#restlessSinceMs = null;
    this.#faults.guard('Finding which process writes', () => this.#forgetOwn());
  }

  /** What the command writes itself is no change to wait for. */
  #forgetOwn(): void {
    for (const { path, shown } of [...this.#touched.values()])
      if (this.#isWritten(path, shown)) this.#touched.delete(path);
  }

  #isQuiet(): void {
    this.#restlessSinceMs = null;
    const all = [...this.#touched.values()];
    this.#touched.clear();
    const changes = all.filter(({ path, shown, isNew, from }) => {
      // What is away cannot be started: its return is the change.
      if (from.isAway) return false;
      const stat = statSync(path, { throwIfNoEntry: false });
      // What came and went is an editor's own.
      if (stat === undefined) return !isNew;
      return !ownOutputs().has(`${stat.dev}:${stat.ino}`) && !this.#isWritten(path, shown);
    });
    const paced = changes.map(({ shown }) => ({ shown, ...this.#limit.changed(shown) }));
    const [first] = paced.sort((a, b) => a.waitMs - b.waitMs);
    if (first === undefined) return;
    for (const { shown, tell } of paced)
      if (tell)
        this.#onNote(
          `The command seems to change ${shown} after each start, and that is watched: a restart for it waits 1 s now, and twice as long each time. Watch only what you edit, such as --watch src`,
        );
    clearTimeout(this.#heldBack);
    if (first.waitMs === 0) this.#onChange(first.shown);
    else this.#heldBack = setTimeout(() => this.#onChange(first.shown), first.waitMs);
  }

  /** What the command has open for writing, such as its log or its database, is no edit. Told once of each file. */
  #isWritten(path: string, shown: string): boolean {
    const pid = writerOf(path, [...this.#programs.values()]);
    if (pid === null) return false;
    if (!this.#written.has(path))
      this.#onNote(
        `The command (pid ${pid}) writes ${shown} itself, so that file does not restart it. Watch only what you edit, such as --watch src`,
      );
    this.#written.add(path);
    this.#own.add(path);
    return true;
  }
}

/** The files that stdout and stderr are: what hold and the command print there is no edit. */
function ownOutputs(): Set<string> {
  const found = new Set<string>();
  for (const fd of [1, 2])
    try {
      const stat = fstatSync(fd);
      found.add(`${stat.dev}:${stat.ino}`);
    } catch {
      // A closed one is no file.
    }
  return found;
}
