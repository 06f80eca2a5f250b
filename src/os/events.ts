/**
 * Sleeping until something happens.
 */
import type { ProcessHandle } from './processes.ts';

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
  /** Descriptors to watch for room for output: of a socket that connects, until it is connected or has failed. */
  readonly writable?: readonly number[];
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
  | { readonly kind: 'writable'; readonly descriptor: number }
  | { readonly kind: 'timeout' };
