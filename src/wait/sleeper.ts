/**
 * Sleeps until the table of sockets, a process or a file may have changed.
 */
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { openSleep } from '../act/sleep.ts';
import type { Request } from '../model/endpoint.ts';
import { isSystemError } from '../os/errors.ts';
import type { EventRequest, EventResult } from '../os/events.ts';
import type { Os } from '../os/os.ts';

interface Sleeper extends Disposable {
  /** `events.wait`, or a shorter sleep where the kernel does not tell about sockets. What happens to the file of a Unix socket counts as `destroyed`. */
  sleep(what: EventRequest): Promise<EventResult>;
}

export function openSleeper(os: Os, { endpoint }: Request, signal: AbortSignal | undefined): Sleeper {
  let wake = new AbortController();
  const doze = openSleep(os);
  if (endpoint.protocol !== 'unix') {
    return { sleep: (what) => doze({ ...what, ...(signal !== undefined && { signal }) }), [Symbol.dispose]: () => {} };
  }
  const unwatch = watchFile(endpoint.path, () => wake.abort());
  return {
    async sleep(what) {
      wake = new AbortController();
      try {
        return await doze({
          ...what,
          signal: AbortSignal.any([wake.signal, ...(signal === undefined ? [] : [signal])]),
        });
      } catch (error) {
        if (error !== wake.signal.reason) throw error;
        return { kind: 'destroyed' };
      }
    },
    [Symbol.dispose]: unwatch,
  };
}

/** Calls back when something happens to a file, where its directory can be watched; returns what ends that. */
function watchFile(path: string, onChange: () => void): () => void {
  if (path.startsWith('\0')) return () => {};
  try {
    const name = basename(path);
    const watcher = watch(dirname(path), { persistent: false }, (_event, changed) => {
      if (changed === null || changed === name) onChange();
    });
    // The directory is gone: comparing goes on.
    watcher.on('error', () => {});
    return () => watcher.close();
  } catch (error) {
    // ENOENT, EACCES, and ENOSPC when this user watches too much already.
    if (!isSystemError(error)) throw error;
    return () => {};
  }
}
