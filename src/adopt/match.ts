import type { PassedSocket } from '../hold/wire/passed.ts';
import { isWildcard, shortestIpv6 } from '../model/address.ts';

/** What a program passes to listen(). */
export type Wish =
  | { readonly protocol: 'tcp' | 'udp'; readonly host: string | null; readonly port: number }
  | { readonly protocol: 'unix'; readonly path: string };

/**
 * - `same`: the socket serves exactly what was asked for
 * - `close-enough`: it serves another address, and somebody chose that: the address was typed, or only IPv6 is added to `0.0.0.0`
 * - `wider`: it would serve more than was asked for; a program that wants loopback only must not reach the network
 * - `no`: it is another endpoint
 */
export type Match = 'same' | 'close-enough' | 'wider' | 'no';

/** Compares a held socket with what a program asks for. Resolves no names but `localhost`. */
export function match(socket: PassedSocket, wish: Wish): Match {
  const { endpoint } = socket;
  if (endpoint.protocol === 'unix' || wish.protocol === 'unix')
    return endpoint.protocol === 'unix' && wish.protocol === 'unix' && samePath(endpoint.path, wish.path)
      ? 'same'
      : 'no';
  if (socket.asked !== null)
    return endpoint.protocol === wish.protocol && socket.asked.port === wish.port && socket.asked.host === wish.host
      ? 'same'
      : 'no';
  if (endpoint.protocol !== wish.protocol || endpoint.port !== wish.port) return 'no';
  const held = endpoint.address;
  const asked = wish.host === null || wish.host === '' ? '::' : shortestIpv6(wish.host);
  if (asked === held) return 'same';
  if (asked === 'localhost' && isLoopback(held)) return 'same';
  // "0.0.0.0" asked for and "::" held adds IPv6 only; the other way round is what Node itself does without IPv6.
  if (isWildcard(asked)) return 'close-enough';
  if (isWildcard(held)) return socket.explicit ? 'close-enough' : 'wider';
  // Two different addresses that both were named: the program means another one.
  return 'no';
}

/** 127.0.0.0/8 and ::1. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^127\./.test(address) || /^::ffff:127\./.test(address);
}

function samePath(held: string, asked: string): boolean {
  return held === asked || held.replace(/^\.\//, '') === asked.replace(/^\.\//, '');
}
