/**
 * Listening to directories: by the kernel's events, and by looking once a second where the system allows no more of them.
 */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FileEvent, FileWatch } from '../os/file-watch.ts';
import { os } from '../os/index.ts';

/** What is heard of a directory: a name in it, or `ended` of itself. */
export type Heard = (name: string, what: FileEvent['what']) => void;

/** Ends listening. */
export type Ear = () => void;

const lookEveryMs = 1_000;
/** So many entries of one directory are looked at. */
const mostEntries = 10_000;

export class DirectoryWatch {
  readonly #onNote: (sentence: string) => void;
  readonly #onLost: () => void;
  #watch: FileWatch | null = null;
  #refused: string | null = null;
  readonly #heard = new Map<number, Set<Heard>>();
  readonly #looked = new Map<string, () => void>();
  #told: NodeJS.Immediate | undefined;

  /** @param onLost Called when events were lost, so that anything may have changed. */
  constructor(onNote: (sentence: string) => void, onLost: () => void) {
    this.#onNote = onNote;
    this.#onLost = onLost;
    const watch = os().fileWatches.open((events) => this.#dispatch(events));
    if ('refused' in watch) this.#refused = watch.code;
    else this.#watch = watch;
  }

  /** Null when there is no such directory. @param writes Also hears what is written to its files. */
  listen(directory: string, writes: boolean, heard: Heard): Ear | null {
    if (this.#watch === null) return this.#look(directory, heard);
    const watch = this.#watch.watch(directory, writes);
    if (typeof watch !== 'number') {
      if (watch.refused === 'missing') return null;
      this.#refused = watch.code;
      return this.#look(directory, heard);
    }
    const listeners = this.#heard.get(watch) ?? new Set();
    this.#heard.set(watch, listeners.add(heard));
    return () => {
      listeners.delete(heard);
      if (listeners.size > 0 || this.#heard.get(watch) !== listeners) return;
      this.#heard.delete(watch);
      this.#watch?.unwatch(watch);
    };
  }

  close(): void {
    clearImmediate(this.#told);
    this.#watch?.close();
    this.#watch = null;
    for (const end of [...this.#looked.values()]) end();
  }

  #dispatch(events: readonly FileEvent[]): void {
    for (const { watch, name, what } of events) {
      if (watch === null) {
        this.#onLost();
        continue;
      }
      const listeners = [...(this.#heard.get(watch) ?? [])];
      // Its number may be given to another directory.
      if (what === 'ended') this.#heard.delete(watch);
      for (const heard of listeners) heard(name, what);
    }
  }

  /** The directory is read now and once a second, and what differs is what was heard. */
  #look(directory: string, heard: Heard): Ear | null {
    let before = snapshot(directory);
    if (before === null) return null;
    const timer = setInterval(() => {
      const now = snapshot(directory);
      if (now === null) return heard('', 'ended');
      for (const [name, state] of now) {
        const old = before?.get(name);
        if (old === undefined) heard(name, 'appeared');
        else if (old !== state) heard(name, 'changed');
      }
      for (const name of before?.keys() ?? []) if (!now.has(name)) heard(name, 'vanished');
      before = now;
    }, lookEveryMs).unref();
    const key = `${directory}\0${this.#looked.size}`;
    const end = (): void => {
      clearInterval(timer);
      this.#looked.delete(key);
    };
    this.#looked.set(key, end);
    // Once for all that are refused together.
    this.#told ??= setImmediate(() => this.#tell());
    return end;
  }

  #tell(): void {
    const code = this.#refused ?? '';
    const why = os().advice.watchLimits[code] ?? `the system refuses to tell of changes (${code})`;
    const count = this.#looked.size;
    this.#onNote(
      `${count} watched ${count === 1 ? 'directory is' : 'directories are'} looked at once a second, because ${why}`,
    );
  }
}

/** When each entry was written last, and what it is. Null when the directory is gone. */
function snapshot(directory: string): Map<string, string> | null {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return null;
  }
  const entries = new Map<string, string>();
  for (const name of names.slice(0, mostEntries)) {
    const stat = statSync(join(directory, name), { throwIfNoEntry: false });
    // A directory in it has a look of its own.
    if (stat !== undefined)
      entries.set(name, stat.isDirectory() ? `${stat.ino}` : `${stat.ino} ${stat.mtimeMs} ${stat.size}`);
  }
  return entries;
}
