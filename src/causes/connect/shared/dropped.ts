/** The listener itself dropped the packet: what the causes of that share. */

import type { PortSocket } from '../../../model/reach/evidence.ts';
import { holdersOf } from '../../../model/reach/holders.ts';
import { dropsOf } from '../../../model/reach/path.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';
import { type Who, who } from '../../shared/words.ts';
import { grew, inetOf, isSilent } from './attempts.ts';
import { placeOf } from './untaken.ts';

export interface DroppedBySocket {
  readonly endpoint: string;
  readonly port: number;
  readonly socket: PortSocket;
  readonly uid: number;
  readonly holders: Who[];
  /**
   * The counter that says why: the only one that grew. They are sums of the whole machine, so that two that grew prove nothing (`unclear`);
   * null where none did.
   */
  readonly reason: Reason | 'unclear' | null;
}

/** Why a listener drops, as the kernel counts it (net/ipv4/tcp_ipv4.c). */
const reasons = [
  'TcpExt.ListenOverflows',
  'TcpExt.TCPReqQFullDrop',
  'TcpExt.TCPMD5NotFound',
  'TcpExt.TCPMinTTLDrop',
  'Ip.OutNoRoutes',
] as const;

type Reason = (typeof reasons)[number];

/** Null unless the counter of the very listener grew: sums of the machine alone prove nothing. */
export function droppedBySocket(question: AddressQuestion): DroppedBySocket | null {
  const evidence = inetOf(question);
  if (evidence === null || evidence.protocol !== 'tcp' || !isSilent(evidence)) return null;
  const socket = evidence.before.lookup?.found ?? null;
  if (socket === null) return null;
  const tried = [evidence.attempt, evidence.again].filter((one) => one !== null);
  if (!tried.some((one) => (dropsOf(socket, one) ?? 0) > 0)) return null;
  const grown = reasons.filter((reason) => grew(evidence, reason) > 0);
  const holders = holdersOf(evidence, socket.inode);
  return {
    endpoint: placeOf(evidence),
    port: evidence.endpoint.port,
    socket,
    uid: socket.uid,
    holders: holders.map(({ holder }) => holder).map(who),
    reason: grown.length > 1 ? 'unclear' : (grown[0] ?? null),
  };
}
