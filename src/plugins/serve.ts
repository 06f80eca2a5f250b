/**
 * A server for a request handler, that says how it is and ends well: what `rebind/express`, `rebind/koa` and `rebind/hono` give their frameworks.
 */
import { createServer, type RequestListener, type Server } from 'node:http';
import { type Listening, listen } from '../server/listen.ts';
import type { ListenTarget } from '../server/listen-plan.ts';
import { closeAtSignals, closeOptions, healthOf, type PluginOptions } from './options.ts';

/** The server, and where it listens. Disposing of it closes it. */
export interface Served extends Listening {
  readonly server: Server;
}

/** Listens, answers `/livez` and `/readyz` before the handler, and closes at the signals. */
export async function serveHandler(
  plugin: string,
  handler: RequestListener,
  target: ListenTarget,
  options: PluginOptions,
): Promise<Served> {
  const times = closeOptions(plugin, options);
  const server = createServer();
  const told = await healthOf(server, options);
  server.on('request', (request, response) => {
    if (told?.handler(request, response) !== true) handler(request, response);
  });
  try {
    const listening = await listen(server, target);
    closeAtSignals(server, times, options);
    return Object.assign(listening, { server });
  } catch (error) {
    await told?.close();
    throw error;
  }
}
