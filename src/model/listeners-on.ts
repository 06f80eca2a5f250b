/** Who answers on an endpoint: the listeners that a client of it would reach. Pure. */

import { familyOf, isWildcard } from './address.ts';
import type { Endpoint } from './endpoint.ts';
import type { Socket } from './facts.ts';

/** The sockets that take what is sent to this endpoint: TCP and Unix listeners, bound UDP sockets. For a wildcard, the sockets on the port on any address. */
export function listenersOn(endpoint: Endpoint, sockets: readonly Socket[]): Socket[] {
  return sockets.filter((socket) => {
    if (socket.protocol !== endpoint.protocol) return false;
    if (socket.protocol === 'unix')
      return socket.state === 'LISTEN' || (socket.type === 'datagram' && socket.state === 'BOUND');
    if (socket.state !== (socket.protocol === 'tcp' ? 'LISTEN' : 'BOUND') || endpoint.protocol === 'unix') return false;
    return (
      socket.local.port === endpoint.port && reaches(endpoint.address, socket.local.address, socket.v6Only === true)
    );
  });
}

function reaches(wanted: string, local: string, v6Only: boolean): boolean {
  if (isWildcard(wanted) || plain(wanted) === plain(local)) return true;
  if (!isWildcard(local)) return false;
  return familyOf(plain(wanted)) === 4 ? local !== '::' || !v6Only : local === '::';
}

/** An IPv4 address that is written as an IPv6 one is the IPv4 one. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}
