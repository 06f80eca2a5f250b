/**
 * The operating system that this process runs on, chosen once, at the first use.
 */
import { linux } from './linux/index.ts';
import type { Os } from './os.ts';
import { portable } from './portable.ts';

/** By the name that Node has for the platform. */
const systems: Readonly<Record<string, () => Os>> = {
  linux: () => linux,
  darwin: () => {
    // What no other machine needs, it does not load.
    const load = process.getBuiltinModule('node:module').createRequire(import.meta.url);
    return (load('../os/darwin/index.js') as typeof import('./darwin/index.ts')).darwin;
  },
};

let chosen: Os | undefined;

/**
 * The operating system. Loads nothing native: each part loads what it needs when it is first called.
 * On a platform that rebind does not know yet it has Node's own means, and says why it has no more.
 */
export function os(): Os {
  chosen ??= systems[process.platform]?.() ?? portable(process.platform, 'only Linux has been run and tested');
  return chosen;
}

/** Makes another one the operating system of this process, for tests; returns what undoes it. */
export function useOs(other: Os): () => void {
  const before = chosen;
  chosen = other;
  return () => {
    chosen = before;
  };
}
