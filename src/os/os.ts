/**
 * What rebind needs of an operating system. linux/, darwin/ and win32/ implement it; index.ts chooses one, once, lazily.
 *
 * Reading never throws for what it could not see: it returns facts and gaps. Changing returns an outcome, because
 * "gone already" and "not permitted" are answers. A call that should work and does not throws a `NativeError`.
 */
import type { BindOptions, InetEndpoint, Request, UnixEndpoint } from '../model/endpoint.ts';
import type { Facts, Gap, Holder, InetSocket, Platform, Probe, ProcessIdentity, Settings } from '../model/facts.ts';

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
  readonly holders: ReadonlyMap<number, readonly Holder[]>;
  /** The names of those who made the sockets, by uid. */
  readonly users: ReadonlyMap<number, string>;
  readonly gaps: readonly Gap[];
}

/** The half that only looks. */
export interface Reading {
  readFacts(request: Request, options?: ReadOptions): Facts;
  readInventory(): Inventory;
  readSettings(): Settings;
  /** A throw-away bind with exactly these options, closed at once, never a listen. Null for a Unix path, where trying would leave a file. */
  probe(request: Request): Probe | null;
  /** The holder as it is now, or null when that process is gone (or the number belongs to another one). */
  readProcess(identity: ProcessIdentity): Holder | null;
}

/** The half that changes the machine: only act.ts, server/ and hold/ call it. */
export interface Changing {
  readonly processes: Processes;
  readonly sockets: Sockets;
  readonly events: Events;
}

export interface Os extends Reading, Changing {
  readonly platform: Platform;
  /** Gives what the C library keeps for later allocations back to the system (malloc_trim(3)); does nothing where it cannot. */
  trimMemory(): void;
}

/** `gone`: it does not exist any more, or the number belongs to another process now. `denied`: it is there and we may not. */
export type SignalOutcome = 'sent' | 'gone' | 'denied';

/** A process held by a pidfd (or by start-time checks where there is none), so that no other process can be meant. */
export interface ProcessHandle extends Disposable {
  readonly identity: ProcessIdentity;
  /** False for a zombie too: its sockets are closed. */
  isAlive(): boolean;
  signal(signal: NodeJS.Signals): SignalOutcome;
  /** Copies one of its descriptors into this process (pidfd_getfd(2)), close-on-exec. Null when it has no such descriptor or we may not: `why` is the errno name. */
  takeDescriptor(descriptor: number): { readonly fd: number } | { readonly fd: null; readonly why: string };
  /** Releases the pidfd. */
  close(): void;
}

export interface Processes {
  /** Null when that process is gone, or the number belongs to another process now. */
  open(identity: ProcessIdentity): ProcessHandle | null;
  /** The identity of a running process, null when there is none of that number. */
  identify(pid: number): ProcessIdentity | null;
  /** The path of the program that a process runs (proc_pid_exe(5)); null when it is gone or we may not see it. */
  executable(pid: number): string | null;
  /** The processes of a session (setsid(2)), as far as they can be seen. */
  inSession(session: number): readonly number[];
  /** A process and everything that it started, as far as the kernel still knows. */
  tree(pid: number): readonly number[];
  /** Every process that has one of these sockets open, as far as they can be seen. */
  withSockets(inodes: readonly number[]): readonly ProcessIdentity[];
  /** A variable of the environment it was started with; null when it has none, or may not be looked into. */
  readVariable(pid: number, name: string): string | null;
  /** How this process stands to the terminal of its session: a background job must not read from it; `none` also when it was closed (credentials(7)). */
  terminal(): 'foreground' | 'background' | 'none';
  /** True when the kernel shows that it waits for input on the socket with this inode; false when not, and when it cannot be told. */
  waitsForInput(pid: number, inode: number): boolean;
}

/** One option of a socket, by its level and number; `size` in bytes of the value. */
export interface NativeOption {
  readonly level: number;
  readonly name: number;
}

export interface Sockets {
  /** A non-blocking, close-on-exec socket. The caller owns the descriptor. @throws {NativeError} */
  open(kind: 'tcp' | 'udp' | 'unix' | 'unix-datagram', family: 4 | 6): number;
  /** @throws {NativeError} with `code` EADDRINUSE, EACCES, EADDRNOTAVAIL, … */
  bind(fd: number, endpoint: InetEndpoint | UnixEndpoint): void;
  /** Sets what decides about a bind, before it. @throws {NativeError} */
  setBindOptions(fd: number, family: 4 | 6, options: BindOptions): void;
  /** @throws {NativeError} */
  listen(fd: number, backlog: number): void;
  /** The address that it is bound to. @throws {NativeError} */
  address(fd: number): InetEndpoint | UnixEndpoint;
  getOption(fd: number, option: NativeOption, size: number): Buffer;
  setOption(fd: number, option: NativeOption, value: Buffer): void;
  /** SO_REUSEADDR. @throws {NativeError} */
  getReuseAddress(fd: number): boolean;
  setReuseAddress(fd: number, reuse: boolean): void;
  /** A second descriptor of the same socket, close-on-exec. @throws {NativeError} */
  duplicate(fd: number): number;
  /** Whether a child made by spawn keeps it. @throws {NativeError} */
  setInherited(fd: number, inherited: boolean): void;
  /** O_NONBLOCK, which every descriptor of the same socket shares. @throws {NativeError} */
  setBlocking(fd: number, blocking: boolean): void;
  /** Begins a connection; `pending` when it is not there yet (EINPROGRESS; EAGAIN of a Unix socket is an error: its queue is full). @throws {NativeError} */
  connect(fd: number, endpoint: InetEndpoint | UnixEndpoint): 'done' | 'pending';
  /** A non-blocking, close-on-exec descriptor of a connection that waits, or null when none does. @throws {NativeError} */
  accept(fd: number): number | null;
  /** Ends it for every process that has it open: a listener stops listening and its queue is reset. @throws {NativeError} */
  shutdown(fd: number): void;
  close(fd: number): void;
  /** The device and inode that prove which socket a descriptor is, or null when it is not a socket, or not open. */
  identity(fd: number): { readonly dev: string; readonly inode: number } | null;
  /** SO_ACCEPTCONN. */
  isListening(fd: number): boolean;
  /**
   * Drops every request for a new connection to a listener until `letIn`, and keeps those that wait in its queue; a dropped client asks again
   * after a second. `locked` when the socket was marked as shared with another program. @throws {NativeError}
   */
  holdOff(fd: number): 'done' | 'locked';
  /** Lets requests in again. @throws {NativeError} */
  letIn(fd: number): void;
  /** Marks a listener as shared with another program, so that neither can hold connections off. It cannot be taken back. @throws {NativeError} */
  markShared(fd: number): void;
  /** Sends descriptors over a connected Unix socket (SCM_RIGHTS). @throws {NativeError} */
  sendDescriptors(fd: number, descriptors: readonly number[], data: Buffer): void;
  /** Receives what sendDescriptors sent; null when nothing is there yet, `data` empty at the end. @throws {NativeError} */
  receiveDescriptors(fd: number): { readonly data: Buffer; readonly descriptors: number[] } | null;
  /** pid, uid and gid of the peer of a connected Unix socket (SO_PEERCRED). */
  peer(fd: number): { readonly pid: number; readonly uid: number; readonly gid: number };
  /** Removes one socket from the kernel by its cookie (SOCK_DESTROY). `gone` when it is not there any more. */
  destroy(socket: InetSocket): 'done' | 'gone' | { readonly why: string };
}

/** Sleeping until something happens, without polling. */
export interface Events {
  /**
   * Resolves when one of the processes ends (`exit`), a socket with this local port is destroyed (`destroyed`), or the time is over (`timeout`).
   * Everything is watched by Node's own event loop: no thread, no wake-up in between. Aborting rejects with the signal's reason.
   */
  wait(what: EventRequest): Promise<EventResult>;
}

export interface EventRequest {
  readonly processes?: readonly ProcessHandle[];
  /** Destroyed sockets of this protocol and local port. */
  readonly port?: { readonly protocol: 'tcp' | 'udp'; readonly port: number };
  /** Descriptors to watch for input. */
  readonly descriptors?: readonly number[];
  /**
   * Asked once, after every watch is set and before the sleep: true ends the wait with `ready`.
   * Look there and not before, so that nothing is missed between looking and sleeping.
   */
  readonly ready?: () => boolean;
  /** Milliseconds, at most 2^31 - 1; null waits for ever. */
  readonly timeoutMs: number | null;
  readonly signal?: AbortSignal;
  /** True lets the process end although somebody waits for these descriptors. @default false */
  readonly background?: boolean;
}

export type EventResult =
  | { readonly kind: 'exit'; readonly process: ProcessHandle }
  | { readonly kind: 'destroyed' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'readable'; readonly descriptor: number }
  | { readonly kind: 'timeout' };

export type { Facts, Gap, Holder, InetSocket, Platform, Probe, ProcessIdentity, Settings };
