/**
 * A platform that rebind does not know: every function says so when it is called, so that an import never fails.
 */
import type { Platform } from '../model/facts.ts';
import { UnsupportedError } from './errors.ts';
import type { Os } from './os.ts';

/** An operating system whose every function throws an `UnsupportedError` that names the platform. */
export function unsupported(platform: string): Os {
  const refuse = (): never => {
    throw new UnsupportedError(`rebind does not work on ${platform} yet: only Linux has been run and tested`);
  };
  return {
    // The name is for messages; no rule of another platform is ever applied to it.
    platform: platform as Platform,
    readFacts: refuse,
    readInventory: refuse,
    readSettings: refuse,
    probe: refuse,
    readProcess: refuse,
    processes: everyCall(refuse),
    sockets: everyCall(refuse),
    events: { wait: refuse },
    files: { openDirectory: refuse },
    sessions: everyCall(refuse),
    orphans: everyCall(refuse),
    fileWatches: everyCall(refuse),
    streams: everyCall(refuse),
  };
}

/** An object that has every function. */
function everyCall<T extends object>(refuse: () => never): T {
  return new Proxy({} as T, { get: () => refuse });
}
