/**
 * Where the command itself is, for what it starts as a child: by another user, or in a namespace.
 */
import { fileURLToPath } from 'node:url';

/** A file for `node`. */
export const itself = fileURLToPath(new URL('../cli/main.js', import.meta.url));
