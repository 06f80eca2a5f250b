/**
 * The operating system that this process runs on, chosen once, at the first use.
 */
import { linux } from './linux/index.ts';
import type { Os } from './os.ts';
import { unsupported } from './unsupported.ts';

let chosen: Os | undefined;

/**
 * The operating system. Loads nothing native: each part loads what it needs when it is first called.
 * On a platform that rebind does not know yet, every function of it throws an `UnsupportedError` that says so.
 */
export function os(): Os {
  chosen ??= process.platform === 'linux' ? linux : unsupported(process.platform);
  return chosen;
}
