/**
 * Wrappers: npm, npx, tsx and nodemon start the real server as a child, and Node closes every descriptor that a child
 * is not given by name. So a process that has not taken a held socket itself hands them on.
 *
 * They are added where the native handle starts the process, so that `child.stdio` is what the program asked for.
 */
import { passedVariable } from '../hold/wire/passed.ts';
import type { Inherited } from './inherited.ts';

/** What lib/internal/child_process.js passes to its native handle. */
interface NativeSpawn {
  stdio?: readonly { readonly type: string; readonly fd?: number }[];
  detached?: boolean;
  envPairs?: readonly string[];
}

interface ProcessPrototype {
  spawn(options: NativeSpawn): number;
}

/**
 * Gives the held descriptors to children.
 *
 * A child of the server itself gets neither the descriptors nor the variable: it would keep the port after the server
 * is gone. Cluster workers keep the variable, because they drain. Detached children outlive everybody and get none.
 */
export function passToChildren(
  prototype: ProcessPrototype | null,
  inherited: Inherited,
  hasTaken: () => boolean,
): void {
  if (prototype === null) return;
  const { spawn } = prototype;
  const changed = (options: NativeSpawn): NativeSpawn => {
    const pairs = options.envPairs ?? [];
    const isWorker = pairs.some((pair) => pair.startsWith('NODE_UNIQUE_ID='));
    if (options.detached === true || (hasTaken() && !isWorker)) return { ...options, envPairs: pairs.filter(isForeign) };
    if (hasTaken() || !pairs.some((pair) => pair.startsWith(`${passedVariable}=`))) return options;
    const given = new Set(options.stdio?.map(({ fd }) => fd));
    const added = inherited.descriptors().flatMap(({ fd }) => (given.has(fd) ? [] : [{ type: 'fd', fd }]));
    return { ...options, stdio: [...(options.stdio ?? []), ...added] };
  };
  Object.defineProperty(prototype, 'spawn', {
    value(this: unknown, options: NativeSpawn): number {
      let ours = options;
      try {
        ours = changed(options);
      } catch {
        // The child is started without the descriptors, and asks hold for them.
      }
      return Reflect.apply(spawn, this, [ours]) as number;
    },
    configurable: true,
    writable: true,
    enumerable: true,
  });
}

function isForeign(pair: string): boolean {
  return !/^(REBIND_HOLD|LISTEN_FDS|LISTEN_PID|LISTEN_FDNAMES|NOTIFY_SOCKET)=/.test(pair);
}
