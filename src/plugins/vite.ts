/**
 * rebind/vite, for `vite` and `vite preview`.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { close } from '../server/close.ts';
import { closeOptions, healthOf, type PluginOptions } from './options.ts';

/** The part of a dev or preview server that is used. */
export interface ViteServer {
  readonly httpServer: unknown;
  readonly middlewares: {
    use(handler: (request: IncomingMessage, response: ServerResponse, next: () => void) => void): unknown;
  };
  close(): Promise<void>;
}

/** A plugin, as vite takes it. */
export interface VitePlugin {
  readonly name: string;
  configureServer(server: ViteServer): void;
  configurePreviewServer(server: ViteServer): void;
}

/**
 * A plugin. vite ends by itself at SIGTERM and resets what it is answering: here what is under way is finished first, for 2 s at most.
 *
 * @example
 * ```ts
 * import { rebind } from 'rebind/vite';
 *
 * export default { plugins: [rebind()] };
 * ```
 */
export function rebind(options: Omit<PluginOptions, 'signals'> = {}): VitePlugin {
  const times = { graceMs: 2000, ...closeOptions('rebind', options) };
  const attach = (vite: ViteServer): void => {
    const server = vite.httpServer as Server | null;
    // Middleware of another server, which is closed by others.
    if (server === null) return;
    const told = healthOf(server, options);
    if (told !== null)
      vite.middlewares.use((request, response, next) => {
        told.then(({ handler }) => handler(request, response, next), next);
      });
    const own = vite.close.bind(vite);
    vite.close = async () => {
      if (server.listening) await close(server, times);
      await own();
    };
  };
  return { name: 'rebind', configureServer: attach, configurePreviewServer: attach };
}
