/**
 * Times as a person reads them: how long, and by the clock on the wall.
 */

/**
 * A length of time in its two largest units.
 *
 * @example
 * ```ts
 * duration(125_000); // '2 min 5 s'
 * ```
 */
export function duration(ms: number): string {
  // Rounded up: whoever waits the time that was said must not be too early.
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  // Sixty seconds are what the kernel's leftovers take, and read better than a minute that shrinks.
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return both(minutes, 'min', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return both(hours, 'h', minutes % 60, 'min');
  return `${Math.floor(hours / 24)} days`;
}

/** `14:22:33` in local time; with the day in front (`2026-11-21 14:22:33`) when it is not today. */
export function clock(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const now = new Date(nowMs);
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(':');
  return at.toDateString() === now.toDateString()
    ? time
    : `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())} ${time}`;
}

/** `41 s left, until 14:22:33`. */
export function countdown(leftMs: number, nowMs: number): string {
  // The clock shows whole seconds, so the end is rounded up to the next one.
  return `${duration(leftMs)} left, until ${clock(Math.ceil((nowMs + leftMs) / 1000) * 1000, nowMs)}`;
}

function both(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
