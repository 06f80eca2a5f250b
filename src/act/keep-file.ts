/**
 * Keeps the file of a Unix socket while the program that had it before ends. Servers remove their path when they close it, whichever process serves on it
 * by then; a second name for the same file brings it back, and with it the socket.
 */
import { watch } from 'node:fs';
import { dirname } from 'node:path';
import { pathObjection } from '../model/path-trust.ts';
import { isNativeError } from '../os/errors.ts';
import type { Directory } from '../os/files.ts';
import type { Os } from '../os/os.ts';

/** How often it is looked for, where the kernel tells nothing of changes; a client that comes in between is refused. */
const lookEveryMs = 20;
let names = 0;

export interface KeptFile {
  /** Looks a last time and gives the second name up. @returns False when the file is gone and could not be brought back. */
  end(): boolean;
}

/** @returns A text where the file cannot be kept. */
export function keepFile(os: Os, path: string): KeptFile | string {
  const uid = process.geteuid?.() ?? 0;
  const directory = os.files.openDirectory(path, (step) => pathObjection(step, { uid }));
  if ('why' in directory) return directory.why;
  const second = `.rebind-kept-${process.pid}-${++names}`;
  try {
    if (!directory.link(directory.name, second)) return 'EEXIST';
  } catch (error) {
    directory.close();
    if (isNativeError(error)) return error.code;
    throw error;
  }
  const look = (): void => {
    restore(directory, second);
  };
  const timer = setInterval(look, lookEveryMs).unref();
  const watcher = watchDirectory(dirname(path), look);
  return {
    end() {
      clearInterval(timer);
      watcher?.close();
      try {
        const there = restore(directory, second);
        if (directory.identify(second) !== null) directory.remove(second);
        return there;
      } finally {
        directory.close();
      }
    },
  };
}

/** True when something stands at the name. What somebody else put there stays. */
function restore(directory: Directory, second: string): boolean {
  try {
    if (directory.identify(directory.name) !== null) return true;
    return directory.link(second, directory.name) || directory.identify(directory.name) !== null;
  } catch (error) {
    // The directory was removed with everything in it.
    if (isNativeError(error)) return false;
    throw error;
  }
}

/** Null where the kernel cannot tell: then the timer has to do. */
function watchDirectory(path: string, changed: () => void): { close(): void } | null {
  try {
    return watch(path, { persistent: false }, changed).on('error', () => {});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return null;
  }
}
