/**
 * The number that stands for every user whom this user namespace does not map (user_namespaces(7)), or null where each has a number of its own.
 */
import { attempt, openProc } from './proc.ts';

export function readUnmappedUid(): number | null {
  const proc = openProc('/proc');
  const overflow = Number(attempt(() => proc.text('sys/kernel/overflowuid')) ?? Number.NaN);
  const map = attempt(() => proc.text('self/uid_map')) ?? '';
  if (!Number.isInteger(overflow)) return null;
  return isMapped(map, overflow) ? null : overflow;
}

/** A line is `first inside, first outside, count`. */
export function isMapped(map: string, uid: number): boolean {
  return map.split('\n').some((line) => {
    const [first = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number);
    return uid >= first && uid < first + count;
  });
}
