/**
 * What can be counted about the servers of this process that `listen` started: what `rebind/metrics` gives to a registry.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Server } from 'node:net';
import { formatAddress } from '../model/address.ts';
import type { Closed } from '../server/closed.ts';
import { getOption } from '../server/option.ts';
import type { ServerState } from '../server/telemetry.ts';

/** One server now. */
export interface ServerCounts {
  /** Where it listens, such as `127.0.0.1:3000`. */
  readonly listen: string;
  readonly connections: number;
  /** Connections that wait to be accepted; null where the system does not tell. */
  readonly waiting: number | null;
}

/** How connections ended when a server was closed. */
export type Ending = 'finished' | 'idle' | 'killed';

/** Follows the servers from now on. */
export class ServerWatch {
  readonly #servers = new Map<Server, string>();
  readonly #onClosed: (closed: Closed) => void;
  readonly #state = (message: unknown): void => {
    const { server, state } = message as { readonly server: unknown; readonly state: ServerState };
    if (!(server instanceof Server)) return;
    if (state === 'listening') this.#servers.set(server, placeOf(server));
    else if (state === 'closed') this.#servers.delete(server);
  };
  readonly #end = (message: unknown): void => this.#onClosed(message as Closed);

  constructor(onClosed: (closed: Closed) => void) {
    this.#onClosed = onClosed;
    subscribe('rebind:state', this.#state);
    subscribe('rebind:close:end', this.#end);
  }

  async counts(): Promise<readonly ServerCounts[]> {
    return Promise.all(
      [...this.#servers].map(async ([server, listen]) => ({
        listen,
        connections: await connectionsOf(server),
        waiting: waitingOf(server),
      })),
    );
  }

  stop(): void {
    unsubscribe('rebind:state', this.#state);
    unsubscribe('rebind:close:end', this.#end);
    this.#servers.clear();
  }
}

/** The endings of a close with their counts. */
export function endings(closed: Closed): readonly (readonly [Ending, number])[] {
  return (['finished', 'idle', 'killed'] as const).map((how) => [how, closed[how]] as const);
}

function placeOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') return address ?? '';
  return formatAddress(address.address, address.port);
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

function waitingOf(server: Server): number | null {
  try {
    return getOption(server, 'TCP_INFO').unacknowledged;
  } catch {
    // A Unix socket, a closed server, or a system that does not tell: a gap, and no number.
    return null;
  }
}
