/**
 * Locks between several rebinds of one user. Two that act on the same thing at once undo each other: a second SIGTERM cuts short what the first
 * began, and two new instances that take one port over end each other.
 */
import type { ProcessIdentity } from '../model/facts.ts';
import type { Lock } from '../os/channels.ts';
import type { Os } from '../os/os.ts';

export type { Lock } from '../os/channels.ts';

/** There is no event for the end of a lock. */
const lookEveryMs = 25;
/** What a take-over may need beyond the time that the old process is given. */
const marginMs = 10_000;

/** The lock for stopping one process, or null when another rebind of this user has it. */
export function lockProcess(os: Os, identity: ProcessIdentity): Lock | null {
  return tryLock(os, `stop-${identity.pid}-${identity.started}`);
}

/**
 * Waits until no other process of this user takes over the same endpoint, and keeps others waiting until it is released or this process ends.
 *
 * @param endpoint As text, such as `tcp/3000`.
 * @throws {Error} ETIMEDOUT when the other process does not finish in time.
 */
export async function lockTakeOver(os: Os, endpoint: string, patienceMs = 30_000, signal?: AbortSignal): Promise<Lock> {
  const name = `take-over-${os.channels.network()}-${digest(endpoint)}`;
  return waitForLock(os, name, `Another process takes over ${endpoint} and does not finish`, patienceMs, signal);
}

/** Waits until no other process of this user chooses a port to lease: a reservation lets a second one beside it. @throws {Error} ETIMEDOUT */
export function lockLease(os: Os): Promise<Lock> {
  return waitForLock(os, 'lease', 'Another process chooses a port to lease and does not finish', 0);
}

async function waitForLock(
  os: Os,
  name: string,
  late: string,
  patienceMs: number,
  signal?: AbortSignal,
): Promise<Lock> {
  const endMs = performance.now() + patienceMs + marginMs;
  for (;;) {
    signal?.throwIfAborted();
    const lock = tryLock(os, name);
    if (lock !== null) return lock;
    if (performance.now() >= endMs) throw Object.assign(new Error(late), { code: 'ETIMEDOUT' });
    await process
      .getBuiltinModule('node:timers/promises')
      .setTimeout(lookEveryMs, undefined, signal === undefined ? {} : { signal })
      .catch(() => {});
  }
}

/** A lock that cannot be made, on a full or read-only file system, keeps nobody from acting. */
function tryLock(os: Os, name: string): Lock | null {
  try {
    return os.channels.tryLock(name);
  } catch (error) {
    if (typeof (error as NodeJS.ErrnoException).code !== 'string') throw error;
    return { release: () => {} };
  }
}

/** A path may be longer than the name of a file can be. */
function digest(text: string): string {
  const { createHash } = process.getBuiltinModule('node:crypto');
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}
