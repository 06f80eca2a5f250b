/**
 * What `hold` tells the program it runs: one environment variable, read and written here and nowhere else.
 *
 * A descriptor is recognised by device and inode, never by its number: a wrapper that drops descriptor 3 may well
 * have something else at 3 (in a child of Node it is an epoll descriptor).
 */
import type { Endpoint, InetEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import { boolean, either, fields, listOf, matching, oneOf, orNull, type Shape, text, whole } from './shape.ts';

/** Longer than any address with a zone, name of a host (RFC 1035), and path (PATH_MAX). */
const mostAddress = 128;
const mostHost = 256;
const mostPath = 4_096;

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
  /** Device and inode of the file of a Unix socket that hold made; null for every other socket. */
  readonly fileIdentity: string | null;
}

/** How a program says that it is ready. `auto` takes the first of all. */
export type ReadyBy = 'auto' | 'listening' | 'notify' | 'message';
export const readyWays: readonly ReadyBy[] = ['auto', 'listening', 'notify', 'message'];

/** Everything a program needs in order to serve on the held sockets. */
export interface Passed {
  readonly version: 1;
  /** The process that holds. */
  readonly pid: number;
  /** Its control socket: a path, or `@name` in Linux's abstract namespace. */
  readonly control: string;
  /** What fstat(2) shows of the descriptor by which a process that changed its user reaches the control socket; null where there is none. */
  readonly reference: string | null;
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
  /** True when the first fixed port that the program asks for is to be the held one. */
  readonly lease: boolean;
  /** True when idle connections go on in the next generation. */
  readonly handOff: boolean;
  readonly sockets: readonly PassedSocket[];
}

/** `dev:inode` of a socket. */
export const socketIdentity = matching(/^\d{1,20}:\d{1,20}$/, 41);

/** Checks an endpoint that another process described. */
export const endpointShape: Shape<Endpoint> = either(
  fields<InetEndpoint>({ protocol: oneOf('tcp', 'udp'), address: text(mostAddress), port: whole(0, 65_535) }),
  fields<UnixEndpoint>({ protocol: oneOf('unix'), path: text(mostPath) }),
);
export const askedShape = orNull(fields({ host: orNull(text(mostHost)), port: whole(0, 65_535) }));

/** Checks a socket that another process described. */
export const passedSocketShape: Shape<PassedSocket> = fields<PassedSocket>({
  endpoint: endpointShape,
  identity: socketIdentity,
  explicit: boolean,
  asked: askedShape,
  // An earlier hold did not say.
  v6Only: (value) => boolean(value ?? false),
  fileIdentity: (value) => orNull(socketIdentity)(value ?? null),
});

const passedShape: Shape<Passed> = fields<Passed>({
  version: oneOf(1),
  pid: whole(0, 2 ** 31 - 1),
  control: text(mostPath),
  // An earlier hold, whose programs load this file after an update, has none.
  reference: (value) => orNull(socketIdentity)(value ?? null),
  token: text(256),
  generation: whole(0, Number.MAX_SAFE_INTEGER),
  readyBy: oneOf(...readyWays),
  backlog: whole(0, 2 ** 31 - 1),
  copies: whole(1, 64),
  learn: boolean,
  // An earlier hold did not say.
  lease: (value) => boolean(value ?? false),
  handOff: boolean,
  sockets: listOf(passedSocketShape, 1_024),
});

/** Reads what hold passed; null when this process does not run under hold. */
export function readPassed(environment: NodeJS.ProcessEnv): Passed | null {
  const variable = environment[passedVariable];
  if (variable === undefined || variable === '') return null;
  try {
    return passedShape(JSON.parse(variable)) ?? null;
  } catch {
    // Somebody else's variable, or cut off: the same as not running under hold.
    return null;
  }
}

/** The name as node:net wants it. */
export function controlPath(control: string): string {
  return control.startsWith('@') ? `\0${control.slice(1)}` : control;
}
