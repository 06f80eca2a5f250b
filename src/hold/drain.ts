/**
 * One server of a program that hold runs: how it stops, and how its connections end. The rules are those of server/drain.ts.
 */
import net, { type Server } from 'node:net';
import { connectionsOf } from '../server/connections.ts';
import { Drain } from '../server/drain.ts';
import type { Managed } from './agent.ts';

/** Browsers open connections before they need them; one that stays silent is let go after this. */
const firstByteMs = 2_000;
/** How long connections may be on their way from a cluster's primary, which stopped accepting, to a worker. */
const clusterTransitMs = 250;

/**
 * Follows a server's connections from now on.
 *
 * @param handle The listening handle, or null in a cluster worker, which shares the primary's.
 */
export function manage(server: Server, handle: { close(): void } | null): Managed {
  connectionsOf(server);
  return {
    server,
    stop() {
      // With cluster's shared handles the worker has a real one, and accepts itself.
      const own = (server as unknown as { _handle: { fd?: number } | null })._handle?.fd;
      if (handle === null && (own === undefined || own < 0)) return;
      // Not http's own close: since Node 26 it destroys connections that have not sent a byte yet.
      if (server.listening) net.Server.prototype.close.call(server);
      // A cluster's primary takes the handle away from its server.
      else handle?.close();
    },
    async drain({ graceMs, lingerMs }) {
      if (handle === null) await new Promise((resolve) => setTimeout(resolve, clusterTransitMs));
      const counts = await new Drain(server, { graceMs, idleMs: lingerMs, firstByteMs }).finish(
        new AbortController().signal,
      );
      return { ...counts, handedOff: 0 };
    },
  };
}
