/**
 * rebind/srvx, for srvx and what is built on it, such as h3 and nitro on Node.
 */
import type { Server } from 'node:http';
import { close } from '../server/close.ts';
import { closeAtSignals, closeOptions, healthOf, type PluginOptions } from './options.ts';

export type { PluginOptions } from './options.ts';

/** The part of a srvx server that is used. */
export interface SrvxServer {
  readonly node?: { readonly server?: unknown } | undefined;
  ready(): unknown;
  close(closeActiveConnections?: boolean): Promise<void>;
}

/**
 * A plugin. srvx's own end must be off, because it cuts connections after 5 s: `gracefulShutdown: false`.
 *
 * @example
 * ```ts
 * import { rebind } from 'rebind/srvx';
 *
 * serve({ port: 3000, gracefulShutdown: false, plugins: [rebind({ lameDuckMs: 'auto' })], fetch: () => new Response('hello') });
 * ```
 */
export function rebind(options: PluginOptions = {}): (server: SrvxServer) => void {
  const times = closeOptions('rebind', options);
  return (srvx) => {
    const serverOf = (): Server | null => (srvx.node?.server as Server | undefined) ?? null;
    const own = srvx.close.bind(srvx);
    srvx.close = async (closeActiveConnections) => {
      const server = serverOf();
      if (server !== null && closeActiveConnections !== true) await close(server, { ...times, lameDuckMs: 0 });
      await own(closeActiveConnections);
    };
    // Plugins run before the server is made, and it may be made without listening.
    setImmediate(async () => {
      try {
        await srvx.ready();
      } catch {
        // It does not listen; whoever called serve() hears why.
        return;
      }
      const server = serverOf();
      if (server === null) return;
      const told = await healthOf(server, options);
      if (told !== null) answerFirst(server, told.handler);
      closeAtSignals(server, times, options);
    });
  };
}

/** Puts a handler before those that the server has: for its own paths they are not called. */
function answerFirst(server: Server, handler: (request: never, response: never) => boolean): void {
  const others = server.listeners('request') as ((...args: unknown[]) => void)[];
  server.removeAllListeners('request');
  server.on('request', (...args) => {
    if (handler(...(args as [never, never]))) return;
    for (const other of others) Reflect.apply(other, server, args);
  });
}
