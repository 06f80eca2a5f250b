/**
 * Sockets of this process.
 */
import type { BindOptions, InetEndpoint, UnixEndpoint } from '../model/endpoint.ts';
import type { InetSocket } from '../model/facts.ts';

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
