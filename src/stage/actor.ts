/**
 * An actor: a child process that makes socket calls when told. This is the side that tells; actor-program.ts is the child.
 */
import type { InetEndpoint, UnixEndpoint } from '../model/endpoint.ts';

/** What a socket is opened with; everything that is not given is off. */
export interface OpenOptions {
  /** @default 'tcp' */
  readonly kind?: 'tcp' | 'udp' | 'unix';
  /** @default 4 */
  readonly family?: 4 | 6;
  readonly reuseAddress?: boolean;
  readonly reusePort?: boolean;
  readonly v6Only?: boolean;
  readonly device?: string | null;
  /** Of a Unix socket. @default 'stream' */
  readonly type?: 'stream' | 'datagram' | 'seqpacket';
}

/** An option that can change after the bind. */
export type ActorOption = 'reuseAddress' | 'reusePort' | 'v6Only' | 'resetOnClose';

/**
 * A socket of an actor. Every call resolves when the system call has returned.
 *
 * @throws {NativeError} Every call: with the errno of the system call in `code`. `outcome()` turns it into a value.
 */
export interface ActorSocket {
  /** The descriptor's number in the actor. */
  readonly descriptor: number;
  bind(address: string, port: number): Promise<void>;
  bindPath(path: string): Promise<void>;
  /** @default 16 */
  listen(backlog?: number): Promise<void>;
  /** Resolves when the connection stands. */
  connect(address: string, port: number): Promise<void>;
  connectPath(path: string): Promise<void>;
  /** Lets the actor accept and answer connections from now on, as an ordinary server does. */
  serve(): Promise<void>;
  /** Waits at most five seconds for a connection. */
  accept(): Promise<ActorSocket>;
  shutdown(how: 'read' | 'write' | 'both'): Promise<void>;
  setOption(name: ActorOption, value: boolean): Promise<void>;
  /** setsockopt(2) with numbers of the kernel's headers and the bytes as they are, in hexadecimal. */
  setRaw(level: number, name: number, hex: string): Promise<void>;
  /** Drops every packet that comes for this socket (SO_ATTACH_FILTER). */
  dropPackets(): Promise<void>;
  /** Begins to connect and does not wait for the answer. */
  beginConnect(address: string, port: number): Promise<void>;
  /** Sleeps in recv(2) until something comes; the actor can be told nothing more. */
  beginRead(): Promise<void>;
  /** Where it is bound. */
  address(): Promise<InetEndpoint | UnixEndpoint>;
  /** The same for a socket of TCP or UDP. */
  inetAddress(): Promise<InetEndpoint>;
  /** Sends bytes until the kernel takes no more, at most `limit`; resolves to how many it took. */
  send(limit: number): Promise<number>;
  /** Closes this descriptor; the socket lives on where a child inherited it. */
  close(): Promise<void>;
}

/** A child that the actor started and that outlives it. */
export interface ActorChild {
  readonly pid: number;
}

/** A process that makes socket calls when told. It ends with its stage. */
export interface Actor extends AsyncDisposable {
  readonly pid: number;
  open(options?: OpenOptions): Promise<ActorSocket>;
  /**
   * Starts a Node child that inherits these sockets; it stays when the actor ends, and ends with the stage.
   * Resolves when it waits.
   * `serving` makes it accept connections on the first of them. `role` shows in its command line.
   */
  spawn(role: string, inherit: readonly ActorSocket[], serving?: boolean): Promise<ActorChild>;
  /** exit(2): the kernel closes what it had open. Resolves when it is gone. */
  exit(): Promise<void>;
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>;
}

/** The errno name of a call that may fail, or null when it worked. Other failures are thrown. */
export async function outcome(call: Promise<unknown>): Promise<string | null> {
  try {
    await call;
    return null;
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string')
      return error.code;
    throw error;
  }
}
