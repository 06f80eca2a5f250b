/** Where the packets of one attempt got lost on this machine, by the counters around it. */
import { familyOf } from '../address.ts';
import type { Attempt, Datagram, PortSocket } from './evidence.ts';

/**
 * How many of our packets vanished on the way out and in. Traffic of others is in both counters of a difference, so it cancels out; an attempt
 * that met forwarded packets has them subtracted. Null where the kernel lacks a counter.
 */
export function lostOnTheWay(
  { counters }: Pick<Attempt | Datagram, 'counters'>,
  address: string,
): { readonly out: number | null; readonly in: number | null } {
  const ip = familyOf(address) === 4 ? 'Ip' : 'Ip6';
  const of = (name: string): number | null => counters[`${ip}.${name}`] ?? null;
  const forwarded = of(ip === 'Ip' ? 'ForwDatagrams' : 'OutForwDatagrams') ?? 0;
  const difference = (more: number | null, less: number | null, rest: number): number | null =>
    more === null || less === null ? null : more - less - rest;
  return {
    out: difference(of('OutRequests'), of('OutTransmits'), -forwarded),
    in: difference(of('InReceives'), of('InDelivers'), forwarded),
  };
}

/** How much the drops of one socket grew during an attempt; null where that cannot be told. */
export function dropsOf(
  socket: PortSocket | null,
  { sockets }: { readonly sockets: readonly PortSocket[] | null },
): number | null {
  if (socket === null || socket.drops === null) return null;
  const after = sockets?.find(({ inode }) => inode === socket.inode)?.drops ?? null;
  return after === null ? null : after - socket.drops;
}
