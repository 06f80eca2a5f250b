/**
 * rebind/playwright: in place of `webServer`, which takes whatever answers on the port for the server that it started.
 */
import { type StartOptions, startServer } from './start-server.ts';

export type { StartOptions } from './start-server.ts';

/**
 * Makes a `globalSetup` that starts the server, waits until this very server listens, and stops it with all that it started. The URL is in
 * `PLAYWRIGHT_TEST_BASE_URL`, which playwright takes for `baseURL`.
 *
 * @example
 * ```ts
 * // global-setup.ts
 * import { webServer } from 'rebind/playwright';
 *
 * export default webServer({ command: ['npm', 'run', 'preview'] });
 * ```
 */
export function webServer(options: StartOptions): () => Promise<() => Promise<void>> {
  return async () => {
    const server = await startServer(options);
    process.env['PLAYWRIGHT_TEST_BASE_URL'] = server.url;
    return () => server.stop();
  };
}
