/**
 * rebind/fastify
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { close } from '../server/close.ts';
import { closeAtSignals, closeOptions, healthOf, type PluginOptions } from './options.ts';

export type { PluginOptions } from './options.ts';

/** The part of a fastify instance that is used. */
export interface FastifyApplication {
  readonly server: Server;
  get(
    path: string,
    handler: (
      request: { readonly raw: IncomingMessage },
      reply: { hijack(): unknown; readonly raw: ServerResponse },
    ) => void,
  ): unknown;
  addHook(name: 'preClose' | 'onClose', hook: () => Promise<void>): unknown;
  close(): PromiseLike<unknown>;
}

/**
 * `await app.register(rebind, { lameDuckMs: 'auto' })`: `/livez` and `/readyz`, and an end that loses nothing. At a signal the server is drained
 * first, and `app.close()` runs the `onClose` hooks after that: once fastify itself has begun to close, it answers 503 to what still comes
 * (`return503OnClosing`), and waits 72 s for idle connections.
 *
 * @example
 * ```ts
 * import { rebind } from 'rebind/fastify';
 *
 * const app = fastify();
 * await app.register(rebind, { lameDuckMs: 'auto' });
 * await app.listen({ port: 3000 });
 * ```
 */
export async function rebind(app: FastifyApplication, options: PluginOptions = {}): Promise<void> {
  const times = closeOptions('rebind', options);
  const told = await healthOf(app.server, options);
  if (told !== null)
    for (const path of ['/livez', '/readyz'])
      app.get(path, ({ raw }, reply) => {
        reply.hijack();
        told.handler(raw, reply.raw);
      });
  // Who calls app.close() has decided: no lame duck. Its own close would wait for idle connections, and cut nothing short.
  const { after = [], ...atOnce } = times;
  app.addHook('preClose', async () => {
    await close(app.server, { ...atOnce, lameDuckMs: 0 });
  });
  const remove = closeAtSignals(app.server, { ...times, after: [() => app.close(), ...after] }, options);
  app.addHook('onClose', async () => {
    remove();
    await told?.close();
  });
}

// fastify gives a plugin a scope of its own unless it says that it wants none (fastify-plugin does no more than this).
Object.assign(rebind, { [Symbol.for('skip-override')]: true, [Symbol.for('fastify.display-name')]: 'rebind' });
