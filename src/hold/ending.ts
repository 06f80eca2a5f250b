/**
 * The end of all generations at once.
 */
import type { Generation } from './generation.ts';

/** Resolves when none is left; tells which had to be killed, unless whoever ends it already will tell. */
export async function endAll(
  all: readonly Generation[],
  graceMs: number,
  onNote: (sentence: string) => void,
  how: (one: Generation) => ReturnType<Generation['end']>,
): Promise<void> {
  const ending = all.map(async (one) => {
    const endsAlready = one.state === 'draining' || one.state === 'ending';
    const { forced } = await how(one);
    if (forced && !endsAlready)
      onNote(`Generation ${one.number} did not end within ${graceMs / 1_000} s and was killed`);
  });
  await Promise.all(ending);
}
