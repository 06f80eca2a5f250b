/**
 * Wrappers: npm, npx, tsx and nodemon start the real server as a child, and Node closes every descriptor that a child
 * is not given by name. So a process that has not taken a held socket itself hands them on.
 *
 * They are added where the native handle starts the process, so that `child.stdio` is what the program asked for.
 */
import { passedVariable } from '../hold/wire/passed.ts';
import type { Inherited } from './inherited.ts';

type Stdio = readonly { readonly type: string; readonly fd?: number }[];

/** What of a start is changed: lib/internal/child_process.js passes it to its native handle. */
interface Start {
  readonly stdio: Stdio | undefined;
  readonly envPairs: readonly string[] | undefined;
  readonly detached: boolean;
}

interface ProcessPrototype {
  spawn(...args: unknown[]): number;
}

/** kProcessFlagDetached, since Node 24 (src/process_wrap.cc). */
const detachedFlag = 1;
/** Where Node 24 and later pass them; before, the first argument is an object of them. */
const at = { envPairs: 3, stdio: 4, flags: 5 };

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
  onStart: () => void,
): void {
  if (prototype === null) return;
  const { spawn } = prototype;
  const change = ({ stdio, envPairs = [], detached }: Start): Partial<Start> => {
    const isWorker = envPairs.some((pair) => pair.startsWith('NODE_UNIQUE_ID='));
    if (detached || (hasTaken() && !isWorker)) return { envPairs: envPairs.filter(isForeign) };
    if (hasTaken() || !envPairs.some((pair) => pair.startsWith(`${passedVariable}=`))) return {};
    const given = new Set(stdio?.map(({ fd }) => fd));
    const reference = inherited.reference();
    const ours = [...inherited.descriptors().map(({ fd }) => fd), ...(reference === null ? [] : [reference])];
    const added = ours.flatMap((fd) => (given.has(fd) ? [] : [{ type: 'fd', fd }]));
    return { stdio: [...(stdio ?? []), ...added] };
  };
  Object.defineProperty(prototype, 'spawn', {
    value(this: unknown, ...args: unknown[]): number {
      let ours = args;
      onStart();
      try {
        ours = changedArguments(args, change);
      } catch {
        // The child is started without the descriptors, and asks hold for them.
      }
      return Reflect.apply(spawn, this, ours) as number;
    },
    configurable: true,
    writable: true,
    enumerable: true,
  });
}

function changedArguments(args: readonly unknown[], change: (start: Start) => Partial<Start>): unknown[] {
  const [first, ...rest] = args;
  if (typeof first === 'object' && first !== null) {
    const options = first as Start;
    // Without a prototype, as Node makes them: a program may have changed that of all objects.
    const given = Object.assign(Object.create(null) as Start, options);
    return [Object.assign(given, change({ ...given, detached: Boolean(given.detached) })), ...rest];
  }
  const envPairs = args[at.envPairs] as Start['envPairs'];
  const stdio = args[at.stdio] as Start['stdio'];
  const flags = args[at.flags];
  const changed = change({ envPairs, stdio, detached: typeof flags === 'number' && (flags & detachedFlag) !== 0 });
  const ours = [...args];
  if (changed.envPairs !== undefined) ours[at.envPairs] = changed.envPairs;
  if (changed.stdio !== undefined) ours[at.stdio] = changed.stdio;
  return ours;
}

function isForeign(pair: string): boolean {
  return !/^(REBIND_HOLD|LISTEN_FDS|LISTEN_PID|LISTEN_FDNAMES|NOTIFY_SOCKET)=/.test(pair);
}
