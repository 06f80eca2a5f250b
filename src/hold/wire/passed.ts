/**
 * What `hold` tells the program it runs: one environment variable, read and written here and nowhere else.
 *
 * A descriptor is recognised by device and inode, never by its number: a wrapper that drops descriptor 3 may well
 * have something else at 3 (in a child of Node it is an epoll descriptor).
 */
import type { Endpoint } from '../../model/endpoint.ts';

/** The variable that carries `Passed` as JSON. */
export const passedVariable = 'REBIND_HOLD';
/** The number of this run of the command, from 1, for programs that want to know. */
export const generationVariable = 'REBIND_GENERATION';

/** One socket that hold keeps. */
export interface PassedSocket {
  readonly endpoint: Endpoint;
  /** `dev:inode` of the socket (fstat(2)). */
  readonly identity: string;
  /** True when the address was typed. A bare port follows what the program asks for, and is never served more widely. */
  readonly explicit: boolean;
  /** What the program passed to listen() when hold learned this socket from it; null when the endpoint was given. */
  readonly asked: { readonly host: string | null; readonly port: number } | null;
  /** True for a socket on `::` that takes no IPv4, because a program asked for that. */
  readonly v6Only: boolean;
}

/** How a program says that it is ready. `auto` takes the first of all. */
export type ReadyBy = 'auto' | 'listening' | 'notify' | 'message';
export const readyWays: readonly ReadyBy[] = ['auto', 'listening', 'notify', 'message'];

/** Everything a program needs in order to serve on the held sockets. */
export interface Passed {
  readonly version: 1;
  /** The process that holds. */
  readonly pid: number;
  /** Its control socket; a leading `@` is Linux's abstract namespace. */
  readonly control: string;
  /** Proves that a process was started by this hold, even after it changed user. */
  readonly token: string;
  readonly generation: number;
  readonly readyBy: ReadyBy;
  /** The backlog that listen(2) keeps. */
  readonly backlog: number;
  /** How many copies of each socket were passed. */
  readonly copies: number;
  /** True when hold wants to be given the first port that the program listens on. */
  readonly learn: boolean;
  /** True when idle connections go on in the next generation. */
  readonly handOff: boolean;
  readonly sockets: readonly PassedSocket[];
}

/** Reads what hold passed; null when this process does not run under hold. */
export function readPassed(environment: NodeJS.ProcessEnv): Passed | null {
  const text = environment[passedVariable];
  if (text === undefined || text === '') return null;
  try {
    const passed = JSON.parse(text) as Passed;
    return passed.version === 1 && Array.isArray(passed.sockets) ? passed : null;
  } catch {
    // Somebody else's variable, or cut off: the same as not running under hold.
    return null;
  }
}

/** The name as node:net wants it. */
export function controlPath(control: string): string {
  return control.startsWith('@') ? `\0${control.slice(1)}` : control;
}
