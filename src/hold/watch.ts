/**
 * Changes of files, gathered: an editor writes one file in several steps, a build writes many.
 */
import { type FSWatcher, statSync, watch } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

/** Quiet for this long, and the change is over. */
const quietMs = 100;
/** What a build or an install writes by the thousand, and what tools write for themselves. */
const ignored = /(^|\/)(node_modules|\.git|\.hg|\.svn|\.DS_Store|\.cache|coverage)(\/|$)|~$|\.swp$|\.tmp$/;

export class Watch {
  readonly #watchers: FSWatcher[] = [];
  readonly #onChange: (path: string) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @throws {Error} with `code` ENOENT when a path does not exist. @param onChange Called with one of the paths that changed. */
  constructor(paths: readonly string[], cwd: string, onChange: (path: string) => void) {
    this.#onChange = onChange;
    try {
      for (const path of paths) this.#add(path, resolve(cwd, path));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers.splice(0)) watcher.close();
  }

  #add(shown: string, path: string): void {
    const isDirectory = statSync(path).isDirectory();
    // A file is watched through its directory: editors replace it, and a watch of the old file would hear nothing more.
    const directory = isDirectory ? path : dirname(path);
    const watcher = watch(directory, { recursive: isDirectory }, (_event, name) => {
      if (name === null) return this.#changed(shown);
      if (isDirectory ? ignored.test(name) : name !== basename(path)) return;
      this.#changed(isDirectory ? join(shown, name) : shown);
    });
    // The directory was removed: there is nothing to hear from it any more.
    watcher.on('error', () => {});
    this.#watchers.push(watcher);
  }

  #changed(path: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#onChange(path), quietMs);
  }
}
