/**
 * When a crashed command is started again, and when hold gives up.
 */

/** A generation that lived this long after it was ready was not part of a crash loop: what waits is served by the next one at once. */
export const steadyMs = 1_000;
/** The first restart waits for nothing: the queue hides it. */
const firstWaitMs = 250;
const growth = 1.5;
const mostMs = 30_000;

/** How many failures in a row there are, with this one. @param servedMs How long it had served, from when it was ready. */
export function failuresWith(failures: number, servedMs: number): number {
  return servedMs >= steadyMs ? 1 : failures + 1;
}

/** How long to wait before the next start. */
export function waitAfter(failures: number): number {
  return failures <= 1 ? 0 : Math.min(firstWaitMs * growth ** (failures - 2), mostMs);
}
