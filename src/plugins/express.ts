/**
 * rebind/express: express 4 and 5, connect, and every other handler of Node's requests.
 */
import type { RequestListener } from 'node:http';
import type { ListenTarget } from '../server/listen-plan.ts';
import type { PluginOptions } from './options.ts';
import { type Served, serveHandler } from './serve.ts';

export type { PluginOptions } from './options.ts';
export type { Served } from './serve.ts';

/**
 * In place of `app.listen(3000)`: an explained error, `/livez` and `/readyz`, and an end that loses nothing.
 *
 * @throws what `listen` throws.
 * @example
 * ```ts
 * import { serve } from 'rebind/express';
 *
 * const app = express();
 * await serve(app, 3000, { lameDuckMs: 'auto', after: [() => database.end()] });
 * ```
 */
export function serve(app: RequestListener, target?: ListenTarget, options: PluginOptions = {}): Promise<Served> {
  return serveHandler('serve', app, target, options);
}
