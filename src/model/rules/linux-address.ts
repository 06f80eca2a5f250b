import { type Bound, canonical, mapped, meets } from './span.ts';

const mappedWildcard = '::ffff:0.0.0.0';

/** Whether a new socket and one that is bound already cover an address together. Not symmetric: see `quirk`. */
export function overlap(binder: Bound, occupant: Bound): boolean {
  return meets(binder, occupant) || quirk(binder, occupant);
}

/**
 * A new 0.0.0.0 collides with an IPv6 socket on a real IPv6 address whose v6only bit is off, although no IPv4 address is
 * shared: ipv4_rcv_saddr_equal looks at that bit only. Such sockets are connections accepted over IPv6 by a dual-stack
 * `::`, or clients that bound no address, and what remains of both. `::ffff:0.0.0.0` and 127.0.0.1 are not affected.
 */
function quirk(binder: Bound, occupant: Bound): boolean {
  return (
    binder.family === 4 &&
    binder.address === '0.0.0.0' &&
    occupant.family === 6 &&
    !occupant.v6Only &&
    !canonical(occupant.address).startsWith(mapped)
  );
}

/**
 * Linux 6.1 to 6.8 overlook a socket on `::ffff:0.0.0.0` when another mapped address is bound: among IPv6 sockets they take only
 * `::` for a wildcard (net/ipv4/inet_hashtables.c: inet_bind2_bucket_match_addr_any; seen on 6.1.192, not on 6.12.117).
 */
export function isOverlooked(binder: Bound, occupant: Omit<Bound, 'v6Only'>): boolean {
  const address = canonical(binder.address);
  const isMapped = binder.family === 6 && address.startsWith(mapped) && address !== mappedWildcard;
  return isMapped && occupant.family === 6 && canonical(occupant.address) === mappedWildcard;
}
