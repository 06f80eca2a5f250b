/**
 * A preload leaves no trace in what the program can look at.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Takes a file out of `require.cache`, where the program finds its own modules. */
export function forgetModule(url: string): void {
  Reflect.deleteProperty(createRequire(url).cache, fileURLToPath(url));
}
