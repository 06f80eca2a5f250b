/**
 * Work that outlives the answer that began it: a mail that is sent, a job that is written. A process that ends with its last connection loses it.
 */

const working = new Set<object>();
let whenNone: (() => void)[] = [];

/** Takes part in every `close` until the promise settles. Returns the same promise. */
export function track<Work extends PromiseLike<unknown>>(work: Work): Work {
  if (typeof (work as { then?: unknown } | null | undefined)?.then !== 'function')
    throw new TypeError('close.track() takes a promise');
  const entry = {};
  const ended = (): void => {
    working.delete(entry);
    if (working.size > 0) return;
    for (const resolve of whenNone) resolve();
    whenNone = [];
  };
  working.add(entry);
  work.then(ended, (error: unknown) => {
    ended();
    // Looking at a promise marks its error as handled, so that Node would tell nobody.
    const { stack = String(error) } = error instanceof Error ? error : {};
    process.emitWarning(`Work that close.track() was given failed: ${stack}`, { code: 'REBIND_TRACKED_WORK' });
  });
  return work;
}

/** How many pieces of work are not finished. */
export function workLeft(): number {
  return working.size;
}

/** Resolves when nothing is left. */
export function whenWorkIsDone(): Promise<void> {
  return working.size === 0 ? Promise.resolve() : new Promise((resolve) => whenNone.push(resolve));
}
