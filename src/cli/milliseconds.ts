import { UsageError } from './usage.ts';

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000 };

/** What the help says about TIME. */
export const timePage = 'A TIME is a number and a unit: 500ms, 10s, 1.5m or 2h. A number alone means seconds.';

/**
 * A length of time as it is typed after a flag: `10`, `10s`, `500ms`, `1.5m`. A bare number means seconds.
 *
 * @throws {UsageError}
 */
export function parseMilliseconds(text: string, flag: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|min|h)?$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * (units[match[2] ?? 's'] ?? Number.NaN);
  // setTimeout and poll count in 31 bits.
  if (!(ms <= 2 ** 31 - 1))
    throw new UsageError(
      `--${flag} takes a length of time such as 10s, 500ms or 2m, at most 24 days, not ${JSON.stringify(text.slice(0, 40))}`,
    );
  return ms;
}
