/**
 * Which processes may have inherited a descriptor: the tree around a process, from /proc/PID/stat.
 */
import type { Proc } from './proc.ts';
import { type ProcessStat, readStat } from './stat.ts';

/** Relatives in the order in which they are worth a look. */
export interface Relatives {
  /** Ancestors below pid 1, and descendants. */
  readonly near: readonly number[];
  /** What the same parent, the same job (process group) or the same session holds. */
  readonly far: readonly number[];
}

/** @param pids Every process that is shown to us. @param of Those whose relatives are wanted. */
export function relativesOf(proc: Proc, pids: readonly number[], of: ReadonlySet<number>): Relatives {
  const stats = new Map<number, ProcessStat>();
  const children = new Map<number, number[]>();
  for (const pid of pids) {
    const stat = readStat(proc, pid);
    if (stat === null) continue;
    stats.set(pid, stat);
    const siblings = children.get(stat.parent);
    if (siblings === undefined) children.set(stat.parent, [pid]);
    else siblings.push(pid);
  }

  const near = new Set<number>();
  for (const pid of of) {
    let parent = stats.get(pid)?.parent ?? 0;
    while (parent > 1 && !near.has(parent)) {
      near.add(parent);
      parent = stats.get(parent)?.parent ?? 0;
    }
  }
  // A set grows while it is walked: each descendant is visited once.
  const family = new Set(of);
  for (const pid of family) for (const child of children.get(pid) ?? []) family.add(child);
  for (const pid of family) near.add(pid);

  const groups = new Set<number>();
  const sessions = new Set<number>();
  const parents = new Set<number>();
  for (const pid of of) {
    const stat = stats.get(pid);
    if (stat === undefined) continue;
    groups.add(stat.group);
    sessions.add(stat.session);
    if (stat.parent > 1) parents.add(stat.parent);
  }
  const ranked: { pid: number; rank: number }[] = [];
  for (const [pid, stat] of stats) {
    if (near.has(pid)) continue;
    const rank = groups.has(stat.group) ? 0 : parents.has(stat.parent) ? 1 : sessions.has(stat.session) ? 2 : 3;
    if (rank < 3) ranked.push({ pid, rank });
  }
  ranked.sort((a, b) => a.rank - b.rank);
  return { near: [...near], far: ranked.map(({ pid }) => pid) };
}
