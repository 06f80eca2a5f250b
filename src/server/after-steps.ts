/**
 * What a program does when its connections are finished: close the database, then flush the telemetry, which is to see the drain's own counts.
 */
import { show } from '../check.ts';
import type { Closed } from './closed.ts';
import { pause } from './pause.ts';

/** One step. What it returns is awaited. */
export type AfterStep = (closed: Closed) => unknown;

/** @throws {TypeError} when it is not a list of functions. */
export function checkSteps(steps: unknown): void {
  if (steps === undefined || (Array.isArray(steps) && steps.every((step) => typeof step === 'function'))) return;
  throw new TypeError(`after is a list of functions, such as [() => database.end()], not ${show(steps)}`);
}

/**
 * Runs them in order. One that fails or takes too long does not keep the next from being run.
 *
 * @param eachMs How long each may take
 * @throws what a step threw, when all have run; an AggregateError when several did.
 */
export async function runSteps(
  steps: readonly AfterStep[],
  closed: Closed,
  eachMs: number,
  hurry: AbortSignal,
): Promise<void> {
  const failures: unknown[] = [];
  for (const [index, step] of steps.entries()) {
    const name = `step ${index + 1} of 'after'${step.name === '' ? '' : ` (${step.name})`}`;
    const enough = new AbortController();
    try {
      const isLate = await Promise.race([
        // Inside, so that a step that throws at once is a failure as any other.
        (async () => step(closed))().then(() => false),
        // A step that waits for nothing is in time, whatever the time.
        pause(Math.max(1, eachMs), AbortSignal.any([hurry, enough.signal])).then(() => true),
      ]);
      if (isLate && !hurry.aborted)
        failures.push(new Error(`close() went on without ${name}, which took over ${eachMs} ms`));
    } catch (error) {
      failures.push(error);
    } finally {
      enough.abort();
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} steps of 'after' failed`);
}
