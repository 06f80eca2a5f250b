/**
 * What rebind needs of an operating system. linux/ implements all of it, portable.ts what Node alone can do; index.ts chooses one, once,
 * lazily. CONTRIBUTING.md tells how to add one.
 *
 * Reading never throws for what it could not see: it returns facts and gaps. Changing returns an outcome, because
 * "gone already" and "not permitted" are answers. A call that should work and does not throws a `NativeError`.
 */
import type { InetEndpoint, Request } from '../model/endpoint.ts';
import type {
  Asker,
  Facts,
  Gap,
  Holder,
  HolderSearch,
  InetSocket,
  Platform,
  Probe,
  ProcessIdentity,
  Redirect,
  Settings,
  UnixSocket,
} from '../model/facts.ts';
import type { Rules } from '../model/rules/rules.ts';
import type { Advice } from '../model/systems/advice.ts';
import type { Capability } from './capabilities.ts';
import type { Channels } from './channels.ts';
import type { Events } from './events.ts';
import type { FileWatches } from './file-watch.ts';
import type { Files } from './files.ts';
import type { Orphans } from './orphans.ts';
import type { Processes } from './processes.ts';
import type { Reaching } from './reaching.ts';
import type { Sessions } from './sessions.ts';
import type { Sockets } from './sockets.ts';
import type { Streams } from './streams.ts';

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
  /** Whether IPv6 sockets can be made: that of the settings alone, for a port without an address. */
  hasIpv6(): boolean;
  /**
   * A throw-away bind with exactly these options, closed at once, never a listen. Null for a Unix path, where trying would leave a file,
   * and where it could not be tried; then `gaps` is told why.
   */
  probe(request: Request, gaps?: Gap[]): Probe | null;
  /** Rules that send what comes for the port elsewhere, as far as they can be seen. */
  readRedirects(endpoint: InetEndpoint): readonly Redirect[];
  /** The holder as it is now, or null when that process is gone (or the number belongs to another one). */
  readProcess(identity: ProcessIdentity): Holder | null;
}

/** The half that changes the machine: only act.ts, server/ and hold/ call it. */
export interface Changing {
  readonly processes: Processes;
  readonly sockets: Sockets;
  readonly events: Events;
  readonly channels: Channels;
  readonly files: Files;
  readonly sessions: Sessions;
  readonly orphans: Orphans;
  readonly fileWatches: FileWatches;
  readonly streams: Streams;
}

/** Reading is what every system must do; for each part of the other half it may have a reason why it cannot. */
export interface Os extends Reading, Changing {
  readonly platform: Platform;
  /** What its bind rules answer; null where they have not been measured, so that only a bind that was tried counts. Pure: causes reach it by `rulesFor`. */
  readonly rules: Rules | null;
  /** How one does there what rebind advises. Pure: causes find it in the question. */
  readonly advice: Advice;
  /**
   * Why this machine cannot do something, a sentence without a full stop; null when it can, as far as is known before it is tried.
   * What it lacks throws an `UnsupportedError` with the same sentence.
   */
  lacks(capability: Capability): string | null;
  /** The instruments of `reach`, loaded when they are first asked for. What a system cannot see is a gap of what they answer. */
  reaching(): Promise<Reaching>;
}

export type { Facts, Gap, Holder, InetSocket, Platform, Probe, ProcessIdentity, Settings };
