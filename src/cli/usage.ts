/**
 * A command line that is wrong: one clear sentence, exit 2, nothing done.
 */

/** Thrown while a command line is read. The message is one sentence for a person; it is printed as it is, so escape foreign text in it. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'ERR_REBIND_USAGE';
}

/** By its code and not by its class: the everyday path of the command is bundled, so there are two copies of the class. */
export function isUsageError(value: unknown): value is UsageError {
  return value instanceof Error && (value as { code?: unknown }).code === 'ERR_REBIND_USAGE';
}

/**
 * The candidate that was probably meant, or null when none is close.
 *
 * @example
 * ```ts
 * closest('jsn', ['json', 'reuse-port']); // 'json'
 * ```
 */
export function closest(word: string, candidates: readonly string[]): string | null {
  let best: string | null = null;
  // One slip in three letters is a typo; more is another word.
  let bestDistance = Math.floor(Math.max(word.length, 3) / 3) + 1;
  for (const candidate of candidates) {
    const distance = word.length > 40 ? Number.POSITIVE_INFINITY : editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? (word.length >= 3 ? (candidates.find((candidate) => candidate.startsWith(word)) ?? null) : null);
}

/** ` Did you mean "--json"?`, or nothing. */
export function suggestion(word: string, candidates: readonly string[], prefix = ''): string {
  const meant = closest(word, candidates);
  return meant === null ? '' : ` Did you mean "${prefix}${meant}"?`;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
