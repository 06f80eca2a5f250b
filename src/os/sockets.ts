/**
 * Sockets of this process.
 */
import type { BindOptions, InetEndpoint, UnixEndpoint } from '../model/endpoint.ts';
import type { InetSocket } from '../model/facts.ts';
import type { OptionName } from './options.ts';

/**
 * A socket of this process, as `open`, `accept` and `duplicate` make it. Its owner closes it. It is what Node calls a descriptor where
 * the system has them; elsewhere it means something only to these functions.
 */
export type SocketHandle = number;

export interface Sockets {
  /** A non-blocking, close-on-exec socket. The caller owns the descriptor. @throws {NativeError} */
  open(kind: 'tcp' | 'udp' | 'unix' | 'unix-datagram', family: 4 | 6): SocketHandle;
  /** @throws {NativeError} with `code` EADDRINUSE, EACCES, EADDRNOTAVAIL, … */
  bind(fd: SocketHandle, endpoint: InetEndpoint | UnixEndpoint): void;
  /** Sets what decides about a bind, before it. @throws {NativeError} */
  setBindOptions(fd: SocketHandle, family: 4 | 6, options: BindOptions): void;
  /** @throws {NativeError} */
  listen(fd: SocketHandle, backlog: number): void;
  /** The address that it is bound to. @throws {NativeError} */
  address(fd: SocketHandle): InetEndpoint | UnixEndpoint;
  /** Whether this system has an option, whatever it is called there. */
  hasOption(option: OptionName): boolean;
  /** The value as the system stores it; options.ts reads it. @throws {NativeError} */
  getOption(fd: SocketHandle, option: OptionName): Buffer;
  /** @throws {NativeError} */
  setOption(fd: SocketHandle, option: OptionName, value: Buffer): void;
  /** How many connections wait to be accepted by a listener, and how many may. @throws {NativeError} */
  acceptQueue(fd: SocketHandle): { readonly waiting: number; readonly limit: number };
  /** SO_REUSEADDR. @throws {NativeError} */
  getReuseAddress(fd: SocketHandle): boolean;
  setReuseAddress(fd: SocketHandle, reuse: boolean): void;
  /** A second descriptor of the same socket, close-on-exec. @throws {NativeError} */
  duplicate(fd: SocketHandle): SocketHandle;
  /** Whether a child made by spawn keeps it. @throws {NativeError} */
  setInherited(fd: SocketHandle, inherited: boolean): void;
  /** O_NONBLOCK, which every descriptor of the same socket shares. @throws {NativeError} */
  setBlocking(fd: SocketHandle, blocking: boolean): void;
  /** Begins a connection; `pending` when it is not there yet (EINPROGRESS; EAGAIN of a Unix socket is an error: its queue is full). @throws {NativeError} */
  connect(fd: SocketHandle, endpoint: InetEndpoint | UnixEndpoint): 'done' | 'pending';
  /** A non-blocking, close-on-exec descriptor of a connection that waits, or null when none does. @throws {NativeError} */
  accept(fd: SocketHandle): SocketHandle | null;
  /** Ends it for every process that has it open: a listener stops listening and its queue is reset. @throws {NativeError} */
  shutdown(fd: SocketHandle): void;
  close(fd: SocketHandle): void;
  /** The device and inode that prove which socket a descriptor is, or null when it is not a socket, or not open. */
  identity(fd: SocketHandle): { readonly dev: string; readonly inode: number } | null;
  /** What a descriptor is: a stream or datagram socket that can be bound to an endpoint, `other` for any other socket, null when it is none or not open. */
  kind(fd: SocketHandle): 'tcp' | 'udp' | 'unix' | 'unix-datagram' | 'other' | null;
  /** SO_ACCEPTCONN. */
  isListening(fd: SocketHandle): boolean;
  /**
   * Drops every request for a new connection to a listener until `letIn`, and keeps those that wait in its queue; a dropped client asks again
   * after a second. `locked` when the socket was marked as shared with another program. @throws {NativeError}
   */
  holdOff(fd: SocketHandle): 'done' | 'locked';
  /** Lets requests in again. @throws {NativeError} */
  letIn(fd: SocketHandle): void;
  /** Marks a listener as shared with another program, so that neither can hold connections off. It cannot be taken back. @throws {NativeError} */
  markShared(fd: SocketHandle): void;
  /** Sends descriptors over a connected Unix socket (SCM_RIGHTS). @throws {NativeError} */
  sendDescriptors(fd: SocketHandle, descriptors: readonly number[], data: Buffer): void;
  /** Receives what sendDescriptors sent; null when nothing is there yet, `data` empty at the end. @throws {NativeError} */
  receiveDescriptors(fd: SocketHandle): { readonly data: Buffer; readonly descriptors: number[] } | null;
  /** pid, uid and gid of the peer of a connected Unix socket (SO_PEERCRED). */
  peer(fd: SocketHandle): { readonly pid: number; readonly uid: number; readonly gid: number };
  /** Removes one socket from the kernel by its cookie (SOCK_DESTROY). `gone` when it is not there any more. */
  destroy(socket: InetSocket): 'done' | 'gone' | { readonly why: string };
}
