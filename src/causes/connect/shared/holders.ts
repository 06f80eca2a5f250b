/** The processes that have a listener open, in the arguments of a cause. */
import type { Conditions } from '../../../model/reach/evidence.ts';
import { type Who, who } from '../../shared/words.ts';

/** Who has these sockets open, as far as it can be seen. */
export function whoHas(
  conditions: readonly Conditions[],
  inodes: readonly number[],
): { readonly holders: readonly Who[]; readonly pids: readonly number[] } {
  const holders = conditions
    .filter(({ inode }) => inodes.includes(inode))
    .flatMap((condition) => condition.holders.map(({ holder }) => holder));
  return { holders: holders.map(who), pids: holders.map(({ pid }) => pid) };
}
