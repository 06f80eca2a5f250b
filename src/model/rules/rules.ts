/**
 * What the bind rules of an operating system answer. Pure: sockets come in as data, outcomes go out as data.
 * linux.ts and darwin.ts are measured; index.ts lists what there is.
 */

import { parseIpv6 } from '../address.ts';
import type { BindOptions, InetEndpoint, Request } from '../endpoint.ts';
import type { Facts, InetSocket } from '../facts.ts';
import type { Candidate, Outcome } from '../verdict.ts';
import type { Bound } from './span.ts';

/** The socket that wants the port. */
export interface Binder {
  readonly protocol: 'tcp' | 'udp';
  readonly family: 4 | 6;
  /** Without a zone: the zone of a link-local address is the device. */
  readonly address: string;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  readonly v6Only: boolean;
  readonly device: string | null;
  /** The user who made the socket. */
  readonly uid: number;
}

/** A socket that has the port, as far as the rules look at it. A null flag is hidden. */
export type Occupant = Pick<
  InetSocket,
  'family' | 'state' | 'local' | 'uid' | 'linux' | 'reuseAddress' | 'reusePort' | 'v6Only' | 'device'
>;

/** What the rules say about a request. */
export interface Prediction {
  /** Every result that the rules allow, the likeliest first. More than one when something that decides is hidden. */
  readonly possible: readonly Outcome[];
  /** Sockets that make the bind fail with EADDRINUSE, or may. */
  readonly candidates: readonly Candidate[];
  /** Sockets of the same protocol and port that do not. */
  readonly bystanders: readonly InetSocket[];
}

export interface Rules {
  predict(request: Request, facts: Facts): Prediction;
  /** Whether the new socket and one that is bound already cover an address together, for this system. */
  overlap(binder: Bound, occupant: Bound): boolean;
  /** Whether a socket is in the way only because another user made it. Absent where the user alone never decides. */
  madeByOther?(request: Request, facts: Facts, socket: InetSocket): boolean;
  /**
   * The one listener that gets every connection to an address, newest first; null when none does. Absent where connections to one
   * address are spread over several listeners.
   */
  receiver?(address: string, listeners: readonly InetSocket[]): InetSocket | null;
}

/**
 * The socket that a request describes, made by this user. The zone of an address that needs one, such as `fe80::1%eth0`,
 * binds the socket to that device, whatever device was set before (__inet6_bind).
 */
export function binderOf(endpoint: InetEndpoint, options: BindOptions, uid: number): Binder {
  const [address = '', zone = null] = endpoint.address.split('%', 2);
  const { reuseAddress, reusePort, v6Only } = options;
  const groups = parseIpv6(address);
  return {
    protocol: endpoint.protocol,
    family: groups === null ? 4 : 6,
    address,
    reuseAddress,
    reusePort,
    v6Only,
    device: zone !== null && needsZone(groups) ? zone : options.device,
    uid,
  };
}

/** Link-local unicast (RFC 4291), and multicast of the interface and of the link (RFC 7346). */
export function needsZone(groups: readonly number[] | null): boolean {
  const [first = 0] = groups ?? [];
  return (first & 0xffc0) === 0xfe80 || (first & 0xff0f) === 0xff01 || (first & 0xff0f) === 0xff02;
}
