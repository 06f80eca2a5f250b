/** The instruments of `reach` for those that cannot wait: an error is explained before it is thrown. */
import { openReaching } from './linux/reaching.ts';
import type { Reaching } from './reaching.ts';

/** Null on a system that has no instruments of its own. */
export function reachingNow(): Reaching | null {
  return process.platform === 'linux' ? openReaching() : null;
}
