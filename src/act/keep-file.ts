/**
 * Keeps the file of a Unix socket. Servers remove their path when they close it, and before they listen, whichever process serves on it by then; a
 * second name for the same file brings it back, and with it the socket.
 */
import { watch } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pathObjection } from '../model/path-trust.ts';
import { isNativeError } from '../os/errors.ts';
import type { Directory } from '../os/files.ts';
import type { Os } from '../os/os.ts';

/** How often it is looked for, beside what the kernel tells of changes: a client that comes in between is refused. */
const lookEveryMs = 20;
/** And of a file that is kept for long, where the kernel tells nothing. */
const lookSeldomMs = 500;
let names = 0;

export interface KeptFile {
  /** Brings it back now. @returns False when it is gone and could not be brought back. */
  restore(): boolean;
  /** Looks a last time and gives the second name up. @returns False when the file is gone and could not be brought back. */
  end(): boolean;
}

/** The second name of a file that is kept for as long as a hold lives. One that a killed hold left is found by it. */
export function secondName(path: string): string {
  return join(dirname(path), `.${basename(path)}.rebind`);
}

/**
 * Keeps it for a while: a look every moment costs little. `long` is for as long as a hold lives.
 *
 * @returns A text where the file cannot be kept.
 */
export function keepFile(os: Os, path: string, how: 'short' | 'long' = 'short'): KeptFile | string {
  const uid = process.geteuid?.() ?? 0;
  const directory = os.files.openDirectory(path, (step) => pathObjection(step, { uid }));
  if ('why' in directory) return directory.why;
  let second = how === 'long' ? basename(secondName(path)) : `.rebind-kept-${process.pid}-${++names}`;
  try {
    if (!directory.link(directory.name, second)) {
      // In a shared directory anybody can have taken a name that is known beforehand.
      second = `.rebind-kept-${process.getBuiltinModule('node:crypto').randomBytes(8).toString('hex')}`;
      if (!directory.link(directory.name, second)) {
        directory.close();
        return 'EEXIST';
      }
    }
  } catch (error) {
    directory.close();
    if (isNativeError(error)) return error.code;
    throw error;
  }
  const look = (): void => {
    restore(directory, second);
  };
  const watcher = watchDirectory(dirname(path), directory.name, look);
  const everyMs = how === 'short' ? lookEveryMs : lookSeldomMs;
  const timer = how === 'short' || watcher === null ? setInterval(look, everyMs).unref() : undefined;
  return {
    restore: () => restore(directory, second),
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
function watchDirectory(path: string, name: string, changed: () => void): { close(): void } | null {
  try {
    return watch(path, { persistent: false }, (_event, which) => {
      if (which === null || which === name) changed();
    }).on('error', () => {});
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return null;
  }
}
