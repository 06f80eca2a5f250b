/**
 * rebind/koa
 */
import type { RequestListener } from 'node:http';
import type { ListenTarget } from '../server/listen-plan.ts';
import type { PluginOptions } from './options.ts';
import { type Served, serveHandler } from './serve.ts';

export type { PluginOptions } from './options.ts';
export type { Served } from './serve.ts';

/** The part of a koa application that is used. */
export interface KoaApplication {
  callback(): RequestListener;
}

/**
 * In place of `app.listen(3000)`: an explained error, `/livez` and `/readyz`, and an end that loses nothing.
 *
 * @throws what `listen` throws.
 * @example
 * ```ts
 * import { serve } from 'rebind/koa';
 *
 * await serve(new Koa(), 3000, { lameDuckMs: 'auto' });
 * ```
 */
export function serve(app: KoaApplication, target?: ListenTarget, options: PluginOptions = {}): Promise<Served> {
  return serveHandler('serve', app.callback(), target, options);
}
