/**
 * rebind/nest
 */
import type { Server } from 'node:http';
import { close } from '../server/close.ts';
import type { Health } from '../server/health-options.ts';
import { listen } from '../server/listen.ts';
import type { ListenTarget } from '../server/listen-plan.ts';
import { closeAtSignals, closeOptions, healthOf, type PluginOptions } from './options.ts';
import type { Served } from './serve.ts';

export type { PluginOptions } from './options.ts';
export type { Served } from './serve.ts';

/** The part of a Nest application that is used. */
export interface NestApplication {
  init(): Promise<unknown>;
  use(handler: Health['handler']): unknown;
  getHttpServer(): Server;
  close(): Promise<void>;
}

/**
 * In place of `app.listen(3000)` and `app.enableShutdownHooks()`. Nest runs `onModuleDestroy`, where databases are closed, before it drains
 * anything: here the server is drained first, also when the program calls `app.close()` itself.
 *
 * @throws what `listen` throws.
 * @example
 * ```ts
 * import { serve } from 'rebind/nest';
 *
 * const app = await NestFactory.create(AppModule);
 * await serve(app, 3000, { lameDuckMs: 'auto' });
 * ```
 */
export async function serve(app: NestApplication, target?: ListenTarget, options: PluginOptions = {}): Promise<Served> {
  const { after = [], ...times } = closeOptions('serve', options);
  const told = await healthOf(() => app.getHttpServer(), options);
  if (told !== null) app.use(told.handler);
  await app.init();
  const server = app.getHttpServer();
  const own = app.close.bind(app);
  app.close = async (...args: []): Promise<void> => {
    await close(server, { ...times, lameDuckMs: 0 });
    await own(...args);
    await told?.close();
  };
  const listening = await listen(server, target);
  closeAtSignals(server, { ...times, after: [() => own(), ...after] }, options);
  return Object.assign(listening, { server });
}
