/**
 * Which addresses a socket covers: the same on every system.
 */
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

export const mapped = '::ffff:';

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

/** Whether two sockets cover an address together. */
export function meets(one: Bound, other: Bound): boolean {
  const [a, b] = [spanOf(one), spanOf(other)];
  return meet(a.v4, b.v4) || meet(a.v6, b.v6);
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
