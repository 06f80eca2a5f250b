/**
 * rebind/test, for node --test, vitest, jest and whatever starts a server to test it.
 */
export type { StartedServer, StartOptions } from './start-server.ts';
export { startServer } from './start-server.ts';
