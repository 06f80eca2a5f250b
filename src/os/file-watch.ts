/**
 * What the kernel tells about files.
 */

export interface FileEvent {
  /** What `watch` returned; null when events were lost, and everything may have changed. */
  readonly watch: number | null;
  /** The name in the watched directory; empty for the directory itself. */
  readonly name: string;
  /** `changed`: written. `appeared`, `vanished`: a name, by making, removing or renaming. `ended`: the directory is gone, and so is its watch. */
  readonly what: 'changed' | 'appeared' | 'vanished' | 'ended';
}

/** Why a directory cannot be watched: `missing`, or a limit of the system, by its errno. */
export type WatchRefusal = { readonly refused: 'missing' | 'not-permitted' | 'limit'; readonly code: string };

export interface FileWatch {
  /** Hears of names in a directory. `writes` also tells of what is written to its files. The same directory has the same number. */
  watch(directory: string, writes: boolean): number | WatchRefusal;
  /** Hears no more of it. */
  unwatch(watch: number): void;
  close(): void;
}

export interface FileWatches {
  /** Events arrive in batches, as the kernel gives them. */
  open(onEvents: (events: readonly FileEvent[]) => void): FileWatch | WatchRefusal;
}
