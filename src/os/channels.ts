/**
 * Channels: how processes of rebind reach each other by name. Who the peer is comes from the kernel, with the channel.
 */
import type { Socket } from 'node:net';

/** The process at the other end, by the kernel's word: who connected, or who sent a datagram. */
export interface Peer {
  /** 0 when it is in a pid namespace that we do not see. */
  readonly pid: number;
  readonly uid: number;
}

/** A connection. */
export interface Channel {
  readonly peer: Peer;
  /** Paused: nothing was read yet. The receiver of the channel owns it. */
  readonly socket: Socket;
}

export interface ListenOptions {
  /** Asked for each connection before a byte is read; false closes it. */
  admit(peer: Peer): boolean;
  onChannel(channel: Channel): void;
  /** True lets every user connect who can reach the name or was given the reference. @default false: only this user and root */
  readonly anyUser?: boolean;
}

/** A name that accepts connections. Holds no process alive. */
export interface Listener {
  /** What others connect to: a path, or `@name` where it had to be abstract. */
  readonly address: string;
  /**
   * A descriptor through which a process connects that may not search the directory any more, because it changed its user: a child inherits
   * it and connects to `/proc/self/fd/N`. `identity` is what fstat(2) shows of it, `dev:inode`. Null for an abstract name.
   */
  readonly reference: { readonly fd: number; readonly identity: string } | null;
  /**
   * Gives the listener a second name, by which it is found without knowing its address. `alive`: another listener answers there.
   *
   * @param replace Take the name from a listener that is alive.
   */
  publish(name: string, replace?: boolean): 'done' | 'alive';
  close(): void;
}

/** What came of a connection attempt. `busy`: it is there, and does not accept. `denied`: not permitted. */
export type Connected = Channel | 'nobody' | 'busy' | 'denied';

/** Datagrams that anybody can send. Holds the process alive while it is open. */
export interface Inbox {
  readonly address: string;
  close(): void;
}

export interface InboxOptions {
  /** Asked for each datagram, with what the kernel says about its sender. False: it is dropped unread. */
  believe(sender: Peer): boolean;
  onData(data: Buffer, sender: Peer): void;
}

/** Held until it is released, or this process ends. */
export interface Lock {
  release(): void;
}

/** Where this user's channels live. */
export interface Place {
  /** Null where no directory can be used; names are abstract then. */
  readonly directory: string | null;
  /** One sentence for each thing that a person should know: who squats the usual directory, or why there is none. */
  readonly notes: readonly string[];
}

export interface Channels {
  /** Finds or makes the directory. */
  place(): Place;
  /** Accepts connections at a name that nobody else has. @throws {NativeError} */
  listen(name: string, options: ListenOptions): Promise<Listener>;
  /** Connects to an address, or to `/proc/self/fd/N` of a reference. */
  connect(address: string): Promise<Connected>;
  /** Where a published name of a user may be: the addresses that exist, best first. */
  find(name: string, uid: number): readonly string[];
  /** Published names of a user that begin with this, as addresses. */
  list(prefix: string, uid: number): readonly string[];
  /** Receives datagrams of every user who can reach it. @throws {NativeError} */
  openInbox(name: string, options: InboxOptions): Inbox;
  /** A path that no other user but root can reach, for a socket of the caller's; null where there is no directory. */
  privatePath(name: string): string | null;
  /** True when a process is another one, or below it, or in a session that it leads. False for a process that is gone. */
  isWithin(pid: number, root: number): boolean;
  /** True when a process is stopped (SIGSTOP, Ctrl-Z). */
  isStopped(pid: number): boolean;
  /** What tells network namespaces apart: one port can be held in each of them. */
  network(): string;
  /** Takes a lock of this user, or null when another process has it. Where no directory can be used there is nothing to lock, and it succeeds. */
  tryLock(name: string): Lock | null;
  /** How many descriptors this process may have open. */
  descriptorLimit(): number;
}
