/**
 * A plan is the remedies of everything that was found, each once: what to try first, then the others, the gentlest first.
 */
import { type Remedy, remedyIds } from './verdict.ts';

/**
 * Merges remedies. Two that do the same to the same thing are one; among waits only the longest counts, because the
 * port is free when the last blocker is gone.
 */
export function plan(remedies: readonly Remedy[]): Remedy[] {
  const sorted = gentlestFirst(remedies);
  // What changes the program that asks comes after what frees the port, which is what can be typed.
  const first = sorted.find(({ remedy, command }) => command !== null || remedy === 'wait');
  return first === undefined ? sorted : [first, ...sorted.filter((remedy) => remedy !== first)];
}

/** The same where no remedy comes before the gentlest. */
export function gentlestFirst(remedies: readonly Remedy[]): Remedy[] {
  const merged = new Map<string, Remedy>();
  for (const remedy of remedies) {
    // Not by command: `rebind free 3000` stands for whatever has to be done.
    const key = remedy.remedy === 'wait' ? 'wait' : `${remedy.remedy} ${stable(remedy.args)}`;
    const known = merged.get(key);
    if (known === undefined || (remedy.remedy === 'wait' && waitMs(remedy) > waitMs(known))) merged.set(key, remedy);
  }
  return [...merged.values()].sort((a, b) => remedyIds.indexOf(a.remedy) - remedyIds.indexOf(b.remedy));
}

/** How long a `wait` says to wait; one that does not know is longer than any that does. */
function waitMs(remedy: Remedy): number {
  const { waitMs: ms } = remedy.args;
  return typeof ms === 'number' ? ms : Number.POSITIVE_INFINITY;
}

/** JSON with sorted keys, so that equal arguments are equal texts. */
function stable(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? ''
  );
}
