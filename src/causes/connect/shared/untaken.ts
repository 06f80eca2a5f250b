/** A listener has the connection, and its process does not take it: what causes of a listener that would get it share. */

import { formatAddress } from '../../../model/address.ts';
import { formatEndpoint } from '../../../model/endpoint.ts';
import type { HolderCondition, InetEvidence, PortSocket } from '../../../model/reach/evidence.ts';
import { holdersOf } from '../../../model/reach/holders.ts';
import { dropsOf } from '../../../model/reach/path.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';
import type { Remedy } from '../../../model/verdict.ts';
import { processes, type Who, who } from '../../shared/words.ts';

/** A listener that has waiting connections, and what its processes do. */
export interface Untaken {
  readonly endpoint: string;
  readonly inode: number;
  readonly uid: number;
  readonly port: number | null;
  readonly waiting: number | null;
  readonly limit: number | null;
  /** One more than its backlog waits: the kernel takes no more. */
  readonly full: boolean;
  readonly conditions: readonly HolderCondition[];
  /** True when processes may have it open that cannot be looked into. */
  readonly unseen: boolean;
  /** True where nothing was tried: only what its processes do says that they would not take it. */
  readonly foreseen: boolean;
}

/** Null unless a listener would get the connection and no process takes it. */
export function untaken({ evidence }: AddressQuestion): Untaken | null {
  if (evidence.protocol === 'udp') return null;
  if (evidence.protocol === 'unix') {
    const socket = evidence.sockets?.find(({ state, elsewhere }) => state === 'LISTEN' && !elsewhere);
    if (socket === undefined) return null;
    const silent = (evidence.request ?? evidence.first)?.kind === 'silence' && (socket.queue?.waiting ?? 0) > 0;
    if (!silent && evidence.attempt !== null && evidence.attempt.errno !== 'EAGAIN') return null;
    return {
      ...of(socket, evidence),
      endpoint: formatEndpoint({ protocol: 'unix', path: evidence.path }),
      port: null,
      foreseen: evidence.attempt === null,
    };
  }
  const socket = stuckListener(evidence);
  if (socket === null) return null;
  return {
    ...of(socket, evidence),
    endpoint: placeOf(evidence),
    port: evidence.endpoint.port,
    foreseen: evidence.attempt === null,
  };
}

function of(
  { inode, uid, queue }: { readonly inode: number; readonly uid: number; readonly queue: PortSocket['queue'] },
  evidence: Pick<InetEvidence, 'conditions'>,
): Omit<Untaken, 'endpoint' | 'port' | 'foreseen'> {
  const found = evidence.conditions.find((each) => each.inode === inode);
  const holders = holdersOf(evidence, inode);
  return {
    inode,
    uid,
    waiting: queue?.waiting ?? null,
    limit: queue?.limit ?? null,
    full: queue !== null && queue.waiting > queue.limit,
    conditions: holders,
    unseen: found === undefined || found.unseen || holders.length === 0,
  };
}

/** The listener whose queue has our connection, or has no room for it. */
function stuckListener(evidence: InetEvidence): PortSocket | null {
  const { before, attempt, again, connected } = evidence;
  const found = before.lookup?.found ?? null;
  if (attempt === null) return found;
  if (connected !== null) {
    const said = connected.request ?? connected.first;
    // What is left of a connection that was closed has no inode either.
    if (connected.mirror?.inode !== 0 || (said !== null && said.kind !== 'silence')) return null;
    return gotUs(evidence) ?? found;
  }
  const last = again ?? attempt;
  if (found === null || last.errno !== 'ETIMEDOUT') return null;
  // Its queue was full when the packet came: both the socket and the kernel counted it.
  const overflowed =
    (last.counters['TcpExt.ListenOverflows'] ?? 0) > 0 || (attempt.counters['TcpExt.ListenOverflows'] ?? 0) > 0;
  const dropped = (dropsOf(found, last) ?? 0) > 0;
  const now = last.sockets?.find(({ inode }) => inode === found.inode) ?? found;
  return dropped && (overflowed || isFull(now)) ? now : null;
}

/** Of several listeners the one whose queue grew by us. */
export function gotUs({ before, attempt }: InetEvidence): PortSocket | null {
  const earlier = new Map((before.sockets ?? []).map((socket) => [socket.inode, socket.queue?.waiting ?? 0]));
  return (
    (attempt?.sockets ?? []).find(
      ({ inode, state, queue }) => state === 'LISTEN' && queue !== null && queue.waiting > (earlier.get(inode) ?? 0),
    ) ?? null
  );
}

export function isFull(socket: PortSocket | null): boolean {
  return socket?.queue != null && socket.queue.waiting > socket.queue.limit;
}

/** The holders of a listener in the arguments of a cause. */
export function peopleOf(conditions: readonly HolderCondition[]): Who[] {
  return conditions.map(({ holder }) => holder).map(who);
}

/** `node server.js (pid 41)`. */
export function processOf(holders: readonly Who[], uid: number): string {
  return processes(holders, uid);
}

/** `127.0.0.1:3000`. */
export function placeOf({ endpoint }: InetEvidence): string {
  return formatAddress(endpoint.address, endpoint.port);
}

/** How many wait, as the end of a sentence. */
export function waitingWords(waiting: number | null): string {
  if (waiting === null || waiting === 0) return '';
  return `; ${waiting} ${waiting === 1 ? 'connection waits' : 'connections wait'}`;
}

/** Ends the server, as the last thing that helps. Nothing for a Unix socket: its path is in the answer. */
export function stopServer(port: number | null): Remedy[] {
  if (port === null) return [];
  return [
    {
      remedy: 'stop-process',
      sentence: 'Stop the server, and start it again',
      command: `rebind free ${port}`,
      automatic: false,
      args: { port },
    },
  ];
}
