/**
 * Measuring several things in turns, so that whatever else the machine does hits all of them alike.
 */
import { spawnSync } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { median, ms, type Table } from './tables.ts';

/** One thing to measure; it returns when it is done, and throws when it did not do it. */
export type Contestants = Readonly<Record<string, () => void>>;

export interface Result {
  readonly name: string;
  readonly medianMs: number;
  readonly fastestMs: number;
}

/** Runs each contestant `rounds` times, in turns, after one round that is not counted. */
export function race(contestants: Contestants, rounds: number): Result[] {
  const times = new Map<string, number[]>(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++)
    for (const [name, work] of Object.entries(contestants)) {
      const began = performance.now();
      work();
      if (round > 0) times.get(name)?.push(performance.now() - began);
    }
  return [...times].map(([name, all]) => {
    all.sort((a, b) => a - b);
    return { name, medianMs: median(all), fastestMs: all[0] ?? Number.NaN };
  });
}

/** A table of a race; the ratio is to the contestant named `base`. */
export function raceTable(name: string, title: string, results: readonly Result[], base: string): Table {
  const by = results.find((result) => result.name === base)?.medianMs ?? Number.NaN;
  return {
    name,
    title,
    note: '',
    head: ['', 'median', 'fastest', `times ${base}`],
    rows: results.map((result) => [
      result.name,
      ms(result.medianMs),
      ms(result.fastestMs),
      (result.medianMs / by).toFixed(2),
    ]),
  };
}

/**
 * Runs a command to its end, its output thrown away.
 *
 * @param codes The exit codes that mean that it did its work.
 * @param env Added to the environment.
 */
export function command(
  file: string,
  args: readonly string[],
  codes: readonly number[] = [0],
  env: NodeJS.ProcessEnv = {},
): () => void {
  return () => {
    const { status, error } = spawnSync(file, args, {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: { ...process.env, ...env },
    });
    if (error !== undefined) throw error;
    if (status === null || !codes.includes(status)) throw new Error(`${file} ${args.join(' ')} left with ${status}`);
  };
}
