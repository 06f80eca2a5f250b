import { isWildcard } from './address.ts';
import type { Endpoint } from './endpoint.ts';
import type { Socket } from './facts.ts';

/**
 * Is this socket worth a long search for its holder? Of a busy port number on many addresses, most sockets say nothing about the endpoint.
 * Which of these really block is for the rules to say.
 */
export function mayMatter(endpoint: Endpoint, socket: Socket): boolean {
  if (socket.protocol !== endpoint.protocol) return false;
  if (socket.protocol === 'unix' || endpoint.protocol === 'unix' || socket.state === 'LISTEN') return true;
  const plain = (address: string): string => address.replace(/^::ffff:/, '');
  return (
    isWildcard(endpoint.address) ||
    isWildcard(socket.local.address) ||
    plain(endpoint.address) === plain(socket.local.address)
  );
}
