/**
 * rebind/hono: hono and every other application with a `fetch` function, by way of @hono/node-server.
 */
import type { ListenTarget } from '../server/listen-plan.ts';
import type { PluginOptions } from './options.ts';
import { type Served, serveHandler } from './serve.ts';

export type { PluginOptions } from './options.ts';
export type { Served } from './serve.ts';

/** The part of an application that is used. */
export interface FetchApplication {
  // Its parameters differ from one application to the next.
  // biome-ignore lint/suspicious/noExplicitAny: an application with fewer parameters must fit as well
  fetch(...args: any[]): Response | Promise<Response>;
}

/**
 * In place of `serve({ fetch: app.fetch, port: 3000 })`: an explained error, `/livez` and `/readyz`, and an end that loses nothing.
 *
 * @throws what `listen` throws; an error when @hono/node-server is not installed.
 * @example
 * ```ts
 * import { serve } from 'rebind/hono';
 *
 * await serve(new Hono(), 3000, { lameDuckMs: 'auto' });
 * ```
 */
export async function serve(
  app: FetchApplication,
  target?: ListenTarget,
  options: PluginOptions = {},
): Promise<Served> {
  const { getRequestListener } = await import('@hono/node-server');
  return serveHandler('serve', getRequestListener(app.fetch.bind(app)), target, options);
}
