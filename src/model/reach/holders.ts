/** The processes of a socket, as far as they are known for certain. */
import type { Evidence, HolderCondition } from './evidence.ts';

/** Those that have a socket open for certain; where nothing is certain, the only one that may. Of several that may, none is accused. */
export function holdersOf(
  { conditions }: Pick<Evidence, 'conditions'>,
  inode: number | undefined,
): readonly HolderCondition[] {
  const holders = conditions.find((each) => each.inode === inode)?.holders ?? [];
  const certain = holders.filter((each) => each.certain);
  if (certain.length > 0) return certain;
  return holders.length === 1 ? holders : [];
}
