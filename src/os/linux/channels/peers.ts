/**
 * Who a peer is, as /proc shows it.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { openProc } from '../proc/proc.ts';
import { readStat } from '../proc/stat.ts';

/** Deeper than any tree of processes; a round, made of numbers that were reused while we walked, ends here. */
const mostGenerations = 256;

export function isWithin(pid: number, root: number): boolean {
  const proc = openProc('/proc');
  let at = pid;
  for (let depth = 0; at > 0 && depth < mostGenerations; depth++) {
    if (at === root) return true;
    const stat = readStat(proc, at);
    if (stat === null) return false;
    // What a daemon left behind has another parent, and still the session that the command leads.
    if (stat.session === root) return true;
    at = stat.parent;
  }
  return false;
}

export function isStopped(pid: number): boolean {
  return readStat(openProc('/proc'), pid)?.state === 'T';
}

export function network(): string {
  try {
    return readlinkSync('/proc/self/ns/net').replace(/\D/g, '');
  } catch {
    // Without /proc, or without namespaces: there is one.
    return '0';
  }
}

/** RLIMIT_NOFILE (getrlimit(2)), as /proc/self/limits shows it. */
export function descriptorLimit(): number {
  const otherwise = 1_024;
  try {
    const soft = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? otherwise : Number(soft);
  } catch {
    // The default of every distribution.
    return otherwise;
  }
}
