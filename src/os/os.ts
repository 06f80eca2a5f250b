/**
 * What rebind needs of an operating system. linux/, darwin/ and win32/ implement it; index.ts chooses one, once, lazily.
 *
 * Reading never throws for what it could not see: it returns facts and gaps. Changing returns an outcome, because
 * "gone already" and "not permitted" are answers. A call that should work and does not throws a `NativeError`.
 */
import type { Request } from '../model/endpoint.ts';
import type {
  Asker,
  Facts,
  Gap,
  Holder,
  InetSocket,
  Platform,
  Probe,
  ProcessIdentity,
  Settings,
  UnixSocket,
} from '../model/facts.ts';
import type { Events } from './events.ts';
import type { FileWatches } from './file-watch.ts';
import type { Files } from './files.ts';
import type { Orphans } from './orphans.ts';
import type { Processes } from './processes.ts';
import type { Sessions } from './sessions.ts';
import type { Sockets } from './sockets.ts';
import type { Streams } from './streams.ts';

/** How far to look for the processes that have a socket open. */
export type HolderSearch =
  /** Do not look. */
  | 'none'
  /** First where they are likely (cgroup, user, relatives); everywhere only when that finds nobody. */
  | 'likely'
  /** Every process that we may look into. */
  | 'all';

export interface ReadOptions {
  /** @default 'likely' */
  readonly holders?: HolderSearch;
}

/** Every listening or bound socket of this network namespace, for `rebind ls`. */
export interface Inventory {
  readonly sockets: readonly InetSocket[];
  /** Unix sockets with a name that listen, or are bound to receive datagrams. */
  readonly unixSockets: readonly UnixSocket[];
  readonly holders: ReadonlyMap<number, readonly Holder[]>;
  /** The names of those who made the sockets, by uid. */
  readonly users: ReadonlyMap<number, string>;
  /** Who reads it. */
  readonly asker: Asker;
  readonly gaps: readonly Gap[];
}

/** The half that only looks. */
export interface Reading {
  readFacts(request: Request, options?: ReadOptions): Facts;
  readInventory(): Inventory;
  readSettings(): Settings;
  /**
   * A throw-away bind with exactly these options, closed at once, never a listen. Null for a Unix path, where trying would leave a file,
   * and where it could not be tried; then `gaps` is told why.
   */
  probe(request: Request, gaps?: Gap[]): Probe | null;
  /** The holder as it is now, or null when that process is gone (or the number belongs to another one). */
  readProcess(identity: ProcessIdentity): Holder | null;
}

/** The half that changes the machine: only act.ts, server/ and hold/ call it. */
export interface Changing {
  readonly processes: Processes;
  readonly sockets: Sockets;
  readonly events: Events;
  readonly files: Files;
  readonly sessions: Sessions;
  readonly orphans: Orphans;
  readonly fileWatches: FileWatches;
  readonly streams: Streams;
}

export interface Os extends Reading, Changing {
  readonly platform: Platform;
}

export type { Facts, Gap, Holder, InetSocket, Platform, Probe, ProcessIdentity, Settings };
