/**
 * What a process is doing, as far as any user may see it: whether its cgroup is frozen (Documentation/admin-guide/cgroup-v2.rst, cgroup.events;
 * cgroup-v1/freezer-subsystem.rst), how many descriptors it has open and may (proc_pid_limits(5)), how much of a processor its first thread takes.
 */
import { statSync } from 'node:fs';
import { cgroup2Mount, readCgroupPaths } from './cgroup.ts';
import { attempt, openProc, type Proc } from './proc.ts';

/** `docker pause` leaves a process in state S (cgroup v2) or D (v1): only its cgroup tells. Null where the cgroup is not to be seen. */
export function isFrozen(proc: Proc, pid: number): boolean | null {
  const frozen = frozenInV2(proc, pid) ?? frozenInV1(proc, pid);
  // The root of all cgroups cannot be frozen, and has no such file.
  return frozen ?? (readCgroupPaths(proc, pid)?.unified === '/' ? false : null);
}

function frozenInV2(proc: Proc, pid: number): boolean | null {
  const path = readCgroupPaths(proc, pid)?.unified ?? null;
  const mount = path === null ? null : cgroup2Mount(proc);
  // A path that leads out of the mount (a cgroup outside our namespace) has no folder here.
  if (path === null || mount === null || path.includes('/..')) return null;
  const events = attempt(() => openProc(mount).text(`${path.slice(1)}/cgroup.events`));
  const state = /^frozen ([01])$/m.exec(events ?? '')?.[1];
  return state === undefined ? null : state === '1';
}

function frozenInV1(proc: Proc, pid: number): boolean | null {
  const path = freezerPath(attempt(() => proc.text(`${pid}/cgroup`)) ?? '');
  const mount = path === null ? null : freezerMount(attempt(() => proc.text('self/mountinfo', 4_194_304)) ?? '');
  if (path === null || mount === null || path.includes('/..')) return null;
  const state = attempt(() =>
    openProc(mount)
      .text(`${path.slice(1)}/freezer.state`)
      .trim(),
  );
  return state === null ? null : state === 'FROZEN';
}

/** The path of `7:freezer:/docker/…`, null where the hierarchy has no freezer. */
export function freezerPath(text: string): string | null {
  return /^\d+:(?:[^:\n]*,)?freezer(?:,[^:\n]*)?:(\/.*)$/m.exec(text)?.[1] ?? null;
}

/** Where the hierarchy with the freezer is mounted (proc_pid_mountinfo(5)). */
export function freezerMount(mountinfo: string): string | null {
  for (const line of mountinfo.split('\n')) {
    const [mount, rest] = line.split(' - cgroup ');
    if (rest === undefined || !/[ ,]freezer(?:,|$)/.test(rest)) continue;
    const [, , , root, point] = (mount ?? '').split(' ');
    if (root === '/' && point !== undefined) return point;
  }
  return null;
}

/** How many descriptors it has open and may have; null when it is gone, or when only its user may count them (before Linux 6.2). */
export function descriptorsOf(
  proc: Proc,
  pid: number | 'self',
): { readonly open: number; readonly limit: number | null } | null {
  // Since Linux 6.2 the size of the folder is the number of its entries (fs/proc/fd.c, proc_readfd_count).
  const open = sizeOf(`${proc.root}/${pid}/fd`) ?? attempt(() => proc.list(`${pid}/fd`).length);
  const limits = attempt(() => proc.text(`${pid}/limits`));
  return open === null || limits === null ? null : { open, limit: limitOf(limits) };
}

function sizeOf(folder: string): number | null {
  const size = statSync(folder, { throwIfNoEntry: false })?.size ?? 0;
  // An older kernel says 0 always.
  return size > 0 ? size : null;
}

/** `Max open files            1024                 1048576              files`, the soft one; null for none. */
export function limitOf(limits: string): number | null {
  const found = /^Max open files\s+(\d{1,15})\s/m.exec(limits)?.[1];
  return found === undefined ? null : Number(found);
}

/** How long the first thread has run or waited for a processor, ms: a loop that never sleeps does one of the two all the time. Null when it is gone. */
export function runnableMs(proc: Proc, pid: number): number | null {
  const thread = `${pid}/task/${pid}`;
  const times = schedTimes(attempt(() => proc.text(`${thread}/schedstat`)) ?? '');
  if (times !== null) return times.runMs + times.waitMs;
  const ticks = tickTimes(attempt(() => proc.text(`${thread}/stat`)) ?? '');
  // USER_HZ is 100 (proc_pid_stat(5)).
  return ticks === null ? null : 10 * ticks;
}

/** `run wait slices`, nanoseconds (Documentation/scheduler/sched-stats.rst); null where the kernel does not count. */
export function schedTimes(text: string): { readonly runMs: number; readonly waitMs: number } | null {
  const [, run, wait] = /^(\d{1,19}) (\d{1,19}) \d+\s*$/.exec(text) ?? [];
  return run === undefined ? null : { runMs: Number(run) / 1e6, waitMs: Number(wait) / 1e6 };
}

/** utime and stime of proc_pid_stat(5). */
export function tickTimes(text: string): number | null {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ', 13);
  const [user, system] = [fields[11] ?? '', fields[12] ?? ''];
  return /^\d{1,15}$/.test(user) && /^\d{1,15}$/.test(system) ? Number(user) + Number(system) : null;
}
