/** Which addresses a listener takes, and in words. */
import { familyOf, formatAddress, isWildcard } from '../../../model/address.ts';
import type { PortSocket } from '../../../model/reach/evidence.ts';

/** True when the socket takes connections to the address, leaving devices aside. */
export function takes(socket: PortSocket, address: string): boolean {
  const local = plain(socket.local.address);
  if (plain(address) === local) return true;
  if (!isWildcard(local)) return false;
  if (familyOf(plain(address)) === 6) return socket.family === 6 && local === '::';
  return socket.family === 4 || socket.v6Only !== true;
}

/** The families that a listener takes connections of. */
export function familiesOf(socket: PortSocket): readonly (4 | 6)[] {
  const local = plain(socket.local.address);
  if (local === '::') return socket.v6Only === true ? [6] : [4, 6];
  return [familyOf(local)];
}

export function isLoopback(address: string): boolean {
  const text = plain(address);
  return text === '::1' || text.startsWith('127.');
}

/** Where it listens, each place once. */
export function listenPlaces(sockets: readonly PortSocket[]): string[] {
  return [...new Set(sockets.map(({ local }) => formatAddress(plain(local.address), local.port)))];
}

function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, '');
}
