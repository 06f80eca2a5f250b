/**
 * A cgroup of a stage's own (cgroups(7), version 2), for what happens to a whole container: being paused.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

const patienceMs = 5_000;
const glanceMs = 5;

/** Where cgroups of version 2 can be made below, or null. */
export function cgroupRoot(): string | null {
  const mounts = readFileSync('/proc/mounts', 'utf8');
  const root = /^\S+ (\S+) cgroup2 /m.exec(mounts)?.[1];
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
  if (root === undefined || own === undefined) return null;
  // A path that leaves the namespace cannot be reached by the mount.
  const path = own.startsWith('/..') ? root : join(root, own);
  try {
    accessSync(path, constants.W_OK);
    return existsSync(join(path, 'cgroup.procs')) ? path : null;
  } catch {
    return null;
  }
}

/** A new cgroup with this process in it; resolves when it is frozen. `thaw` undoes all of it. */
export async function freezeInCgroup(pid: number): Promise<{ thaw(): Promise<void> }> {
  const root = cgroupRoot();
  if (root === null) throw new Error('this user may not make a cgroup');
  const path = join(root, `rebind-stage-${process.pid}-${pid}`);
  mkdirSync(path);
  const until = async (frozen: boolean): Promise<void> => {
    writeFileSync(join(path, 'cgroup.freeze'), frozen ? '1' : '0');
    const deadline = performance.now() + patienceMs;
    while (!readFileSync(join(path, 'cgroup.events'), 'utf8').includes(`frozen ${frozen ? 1 : 0}`)) {
      if (performance.now() > deadline) throw new Error(`the cgroup ${path} did not ${frozen ? 'freeze' : 'thaw'}`);
      await setTimeout(glanceMs);
    }
  };
  const thaw = async (): Promise<void> => {
    await until(false);
    // A process that has left already cannot be moved.
    if (existsSync(`/proc/${pid}`)) writeFileSync(join(root, 'cgroup.procs'), String(pid));
    rmdirSync(path);
  };
  try {
    writeFileSync(join(path, 'cgroup.procs'), String(pid));
    await until(true);
  } catch (error) {
    await thaw();
    throw error;
  }
  return { thaw };
}
