/**
 * Wrappers: npm, npx, tsx and nodemon start the real server as a child, and Node closes every descriptor that a child
 * is not given by name. So a process that has not taken a held socket itself hands them on.
 */
import { ChildProcess } from 'node:child_process';
import { passedVariable } from '../hold/wire/passed.ts';
import type { Inherited } from './inherited.ts';

interface SpawnOptions {
  stdio?: unknown;
  detached?: boolean;
  envPairs?: string[];
}

type Spawn = (this: ChildProcess, options: SpawnOptions) => unknown;

/**
 * Gives the held descriptors to children.
 *
 * A child of the server itself gets neither the descriptors nor the variable: it would keep the port after the server
 * is gone. Cluster workers keep the variable, because they drain. Detached children outlive everybody and get none.
 */
export function passToChildren(inherited: Inherited, hasTaken: () => boolean): void {
  const prototype = ChildProcess.prototype as unknown as { spawn: Spawn };
  const plainSpawn = prototype.spawn;
  prototype.spawn = function (options) {
    if (options.detached === true) strip(options, () => true);
    else if (hasTaken()) strip(options, (pairs) => !pairs.some((pair) => pair.startsWith('NODE_UNIQUE_ID=')));
    else if (options.envPairs?.some((pair) => pair.startsWith(`${passedVariable}=`))) append(options, inherited);
    return plainSpawn.call(this, options);
  };
}

function append(options: SpawnOptions, inherited: Inherited): void {
  const stdio = stdioList(options.stdio);
  if (stdio === null) return;
  const descriptors = inherited.descriptors().map(({ fd }) => fd);
  options.stdio = [...stdio, ...descriptors.filter((fd) => !stdio.includes(fd))];
}

/** The list that Node makes of a short form (getValidStdio in lib/internal/child_process.js); null when Node will refuse it. */
function stdioList(stdio: unknown): unknown[] | null {
  if (stdio === undefined || stdio === null) return ['pipe', 'pipe', 'pipe'];
  if (stdio === 'inherit') return [0, 1, 2];
  if (stdio === 'ignore' || stdio === 'pipe' || stdio === 'overlapped') return [stdio, stdio, stdio];
  if (!Array.isArray(stdio)) return null;
  const list: unknown[] = [...stdio];
  while (list.length < 3) list.push('pipe');
  return list;
}

function strip(options: SpawnOptions, when: (pairs: readonly string[]) => boolean): void {
  const pairs = options.envPairs;
  if (pairs === undefined || !when(pairs)) return;
  options.envPairs = pairs.filter(
    (pair) => !/^(REBIND_HOLD|LISTEN_FDS|LISTEN_PID|LISTEN_FDNAMES|NOTIFY_SOCKET)=/.test(pair),
  );
}
