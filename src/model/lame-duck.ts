/**
 * How long a server has to go on accepting after it said that it is going, so that whoever asks its readiness has noticed. Pure.
 */

/** Load balancers take a server out after `fall` checks in a row, and three is the highest default (HAProxy: inter 2s, fall 3). */
const checks = 3;
/** For the check that was just asked when the server began to say no, and for the balancer's own work. */
const marginMs = 1000;
const mostMs = 10_000;
/** HAProxy's default, 2 s and 3 times, and the margin: for somebody who has not asked often enough to show its interval. */
const unknownMs = 7000;
/** Somebody who asked that long ago asks no more. */
const forgottenMs = 60_000;

/**
 * @param askedMs When each prober asked, oldest first, on one clock
 * @param isOrchestrated True where somebody outside keeps a list of servers, which changes late (Kubernetes)
 * @returns 0 where nobody asks; at most 10 s
 *
 * @example
 * ```ts
 * lameDuckMs([[0, 1000, 2000, 3000]], 3500, false); // 4000
 * ```
 */
export function lameDuckMs(askedMs: Iterable<readonly number[]>, nowMs: number, isOrchestrated: boolean): number {
  let isAsked = false;
  let longestMs = 0;
  for (const times of askedMs) {
    const last = times.at(-1);
    if (last === undefined || nowMs - last > forgottenMs) continue;
    isAsked = true;
    const gapMs = medianGap(times);
    if (gapMs !== null) longestMs = Math.max(longestMs, Math.min(mostMs, checks * gapMs + marginMs));
  }
  if (longestMs > 0) return longestMs;
  return isAsked || isOrchestrated ? unknownMs : 0;
}

/** Null for fewer than three times: one gap may be an accident. */
function medianGap(times: readonly number[]): number | null {
  if (times.length < 3) return null;
  const gaps = times.slice(1).map((time, index) => time - (times[index] as number));
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1] ?? null;
}
