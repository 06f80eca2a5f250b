/**
 * Times as a person reads and types them: how long, and by the clock on the wall.
 */
import { quoted } from '../model/text.ts';
import { UsageError } from './usage.ts';

/**
 * A length of time in its two largest units.
 *
 * @example
 * ```ts
 * duration(125_000); // '2 min 5 s'
 * ```
 */
export function duration(ms: number): string {
  // Rounded up: the port must be available when the stated time is over.
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  // Sixty seconds are what the kernel's leftovers take, and read better than a minute that shrinks.
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return both(minutes, 'min', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return both(hours, 'h', minutes % 60, 'min');
  return `${Math.floor(hours / 24)} days`;
}

/**
 * How long ago, in its largest unit.
 *
 * @example
 * ```ts
 * ago(185_000); // '3 min ago'
 * ```
 */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 1) return 'just now';
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.floor(hours / 24)} days ago`;
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

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** What the help says about TIME. */
export const timePage = 'A TIME is a number and a unit: 500ms, 10s, 1.5m or 2h. A number alone means seconds.';

/**
 * A length of time as it is typed after a flag: `10`, `10s`, `500ms`, `1.5m`. A bare number means seconds.
 *
 * @param also What the flag takes besides, for the sentence
 * @throws {UsageError}
 */
export function parseMilliseconds(text: string, flag: string, also = ''): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)?$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * (units[match[2] ?? 's'] ?? Number.NaN);
  // setTimeout and poll count in 31 bits.
  if (!(ms <= 2 ** 31 - 1))
    throw new UsageError(
      `--${flag} takes ${also}a length of time such as 10s, 500ms or 2m, at most 24 days, not ${quoted(text, 40)}`,
    );
  return ms;
}
