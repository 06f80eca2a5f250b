import { formatIpv6, parseIpv6 } from '../address.ts';

/** Where a socket is bound. */
export interface Bound {
  readonly family: 4 | 6;
  readonly address: string;
  readonly v6Only: boolean;
}

/** `*` is every address of the family, null none, anything else that one address. */
export interface Span {
  readonly v4: string | null;
  readonly v6: string | null;
}

const mapped = '::ffff:';
const mappedWildcard = '::ffff:0.0.0.0';

/**
 * The addresses a socket covers.
 *
 * | bound to | IPv4 | IPv6 |
 * |---|---|---|
 * | IPv4 `a` | `a` or any | none |
 * | IPv6 `::ffff:a` | `a` or any | none |
 * | IPv6 `::` | any, unless v6only | any |
 * | IPv6 `a` | none | `a` |
 */
export function spanOf(bound: Bound): Span {
  const address = canonical(bound.address);
  if (bound.family === 4) return { v4: address === '0.0.0.0' ? '*' : address, v6: null };
  if (address.startsWith(mapped)) {
    const v4 = address.slice(mapped.length);
    return { v4: v4 === '0.0.0.0' ? '*' : v4, v6: null };
  }
  if (address === '::') return { v4: bound.v6Only ? null : '*', v6: '*' };
  return { v4: null, v6: address };
}

/** Whether a new socket and one that is bound already cover an address together. Not symmetric: see `quirk`. */
export function overlap(binder: Bound, occupant: Bound): boolean {
  const a = spanOf(binder);
  const b = spanOf(occupant);
  return meet(a.v4, b.v4) || meet(a.v6, b.v6) || quirk(binder, occupant);
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

function meet(a: string | null, b: string | null): boolean {
  return a !== null && b !== null && (a === '*' || b === '*' || a === b);
}

/** One spelling for each address, without its zone. */
export function canonical(address: string): string {
  if (!address.includes(':')) return address;
  const known = spellings.get(address);
  if (known !== undefined) return known;
  const groups = parseIpv6(address);
  const spelling = groups === null ? address : formatIpv6(groups);
  // A machine has few addresses, and a busy port asks for one of them once a socket.
  if (spellings.size >= maxSpellings) spellings.clear();
  spellings.set(address, spelling);
  return spelling;
}

const maxSpellings = 256;
const spellings = new Map<string, string>();
