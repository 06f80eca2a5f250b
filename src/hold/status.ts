/**
 * What `rebind hold --status` answers.
 */
import { formatEndpoint, nodeTcpOptions } from '../model/endpoint.ts';
import { isUnsupportedError } from '../os/errors.ts';
import { os } from '../os/index.ts';
import type { Fault } from './faults.ts';
import type { Generation } from './generation.ts';
import type { HeldSocket } from './held-socket.ts';
import type { PastGeneration } from './history.ts';

/** A generation that is there. */
export interface LiveGeneration {
  readonly generation: number;
  readonly pid: number | null;
  readonly state: string;
  readonly startedAt: string;
  readonly readyAfterMs: number | null;
  readonly readyBy: string | null;
}

/** Every field is always present. Times are ISO 8601. */
export interface HoldStatus {
  readonly schema: 1;
  readonly pid: number;
  readonly startedAt: string;
  readonly command: readonly string[];
  readonly stopping: boolean;
  readonly endpoints: readonly {
    readonly endpoint: string;
    /** Connections that nobody accepted yet; null when the kernel does not say. */
    readonly waiting: number | null;
    readonly limit: number | null;
  }[];
  readonly current: LiveGeneration | null;
  readonly next: LiveGeneration | null;
  readonly draining: readonly LiveGeneration[];
  /** The last ones, oldest first. */
  readonly past: readonly PastGeneration[];
  /** What failed while hold went on, such as a log that nobody reads; the newest last. */
  readonly faults: readonly Fault[];
}

interface Parts {
  readonly startedAtMs: number;
  readonly command: readonly string[];
  readonly sockets: readonly HeldSocket[];
  readonly current: Generation | null;
  readonly next: Generation | null;
  readonly draining: readonly Generation[];
  readonly past: readonly PastGeneration[];
  readonly stopping: boolean;
  readonly faults: readonly Fault[];
}

/** @internal */
export function describeStatus(parts: Parts): HoldStatus {
  return {
    schema: 1,
    pid: process.pid,
    startedAt: new Date(parts.startedAtMs).toISOString(),
    command: parts.command,
    stopping: parts.stopping,
    endpoints: parts.sockets.map((socket) => {
      const queue = queueOf(socket);
      return {
        endpoint: formatEndpoint(socket.endpoint),
        waiting: queue?.waiting ?? null,
        limit: queue?.limit ?? null,
      };
    }),
    current: live(parts.current),
    next: live(parts.next),
    draining: parts.draining.map(live).filter((one) => one !== null),
    past: [...parts.past],
    faults: [...parts.faults],
  };
}

/** @internal The accept queue of a held socket; null when the kernel does not say, or there is none (UDP). */
export function queueOf(socket: HeldSocket): { readonly waiting: number; readonly limit: number } | null {
  const inode = Number(socket.identity.split(':')[1]);
  try {
    const facts = os().readFacts({ endpoint: socket.endpoint, options: nodeTcpOptions }, { holders: 'none' });
    return facts.sockets.find((one) => one.inode === inode)?.queue ?? null;
  } catch (error) {
    if (isUnsupportedError(error)) return null;
    throw error;
  }
}

function live(generation: Generation | null): LiveGeneration | null {
  if (generation === null) return null;
  const { readiness } = generation;
  return {
    generation: generation.number,
    pid: generation.pid ?? null,
    state: generation.state,
    startedAt: new Date(generation.startedAtMs).toISOString(),
    readyAfterMs: readiness?.ready === true ? Math.round(readiness.afterMs) : null,
    readyBy: readiness?.ready === true ? readiness.by : null,
  };
}
