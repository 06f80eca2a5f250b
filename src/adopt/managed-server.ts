/**
 * One server of a program that hold runs: how it stops, and how its connections end. The rules are those of server/drain.ts.
 */
import type { Socket as UdpSocket } from 'node:dgram';
import net, { type Server, type Socket } from 'node:net';
import { connectionsOf, followUpgrades } from '../server/connections.ts';
import { openDescriptor } from '../server/descriptor.ts';
import { Drain } from '../server/drain.ts';
import type { Managed } from './agent.ts';
import { mayMove, type Sender, sendTo } from './hand-off.ts';

/** Browsers open connections before they need them; one that stays silent is let go after this. */
const firstByteMs = 2_000;
/** How long connections may be on their way from a cluster's primary, which stopped accepting, to a worker. */
const clusterTransitMs = 250;

/**
 * Takes part in a restart for one server. Nothing is added to the server before it is asked to stop.
 *
 * @param handle The listening handle, or null in a cluster worker, which shares the primary's.
 * @param held The held socket that it listens on, and what its successor knows us by; null when it is not a held one.
 */
export function manage(
  server: Server,
  handle: { close(): void } | null,
  held: { readonly identity: string; readonly token: string } | null,
): Managed {
  followUpgrades(server);
  /** Begun before the server was stopped. */
  let leaving: Drain | null = null;
  return {
    sayFarewell({ graceMs, lingerMs }) {
      leaving ??= new Drain(server, { graceMs, idleMs: lingerMs, firstByteMs });
    },
    stop() {
      connectionsOf(server);
      // With cluster's shared handles the worker has a real one, and accepts itself.
      if (handle === null && openDescriptor(server) === null) return;
      // Not http's own close: since Node 26 it destroys connections that have not sent a byte yet.
      if (server.listening) {
        net.Server.prototype.close.call(server);
        expectClose(server);
      }
      // A cluster's primary takes the handle away from its server.
      else handle?.close();
    },
    async drain({ graceMs, lingerMs, receivers }) {
      if (handle === null) await new Promise((resolve) => setTimeout(resolve, clusterTransitMs));
      const receiver = held === null ? undefined : receivers[held.identity];
      const sender: Sender | null =
        held === null || receiver === undefined || !mayMove(server) ? null : sendTo(receiver, held.token);
      let handedOff = 0;
      const move = (connection: Socket): boolean | null => {
        const moved = sender?.send(connection) ?? 'never';
        if (moved === 'moved') handedOff++;
        return moved === 'never' ? null : moved === 'moved';
      };
      const patience = { graceMs, idleMs: lingerMs, firstByteMs, ...(sender !== null && { move }) };
      try {
        const draining = leaving ?? new Drain(server, patience);
        const counts = await draining.finish(new AbortController().signal);
        return { ...counts, handedOff };
      } finally {
        sender?.close();
      }
    },
  };
}

/**
 * The program calls close() itself at its SIGTERM, and must not be told ERR_SERVER_NOT_RUNNING: it would report an error, or
 * exit with one, for what went well.
 */
function expectClose(server: Server): void {
  const own = { value: server.close, had: Object.hasOwn(server, 'close') };
  let isClosed = false;
  server.once('close', () => {
    isClosed = true;
  });
  server.close = (callback) => {
    if (own.had) server.close = own.value;
    else Reflect.deleteProperty(server, 'close');
    if (callback !== undefined && isClosed) process.nextTick(callback);
    else if (callback !== undefined) server.once('close', callback);
    return server;
  };
}

/** A datagram has no connection to wait for: the next process to read gets the next one. */
export function manageUdp(socket: UdpSocket): Managed {
  return {
    sayFarewell() {},
    stop() {
      try {
        socket.close();
      } catch {
        // ERR_SOCKET_DGRAM_NOT_RUNNING: the program closed it.
      }
    },
    drain: async () => ({ finished: 0, idle: 0, killed: 0, handedOff: 0 }),
  };
}
