/** A connection that this machine's own kernel refuses, because no socket takes it. */
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { ElsewhereListener, InetEvidence, PortSocket } from '../../../model/reach/evidence.ts';
import { lostOnTheWay } from '../../../model/reach/path.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';

/** What this machine has on the port although it refuses. */
export interface RefusedHere {
  readonly endpoint: InetEndpoint;
  readonly evidence: InetEvidence;
  /** Sockets on the port that do not take the connection. */
  readonly sockets: readonly PortSocket[];
  readonly elsewhere: readonly ElsewhereListener[];
}

/**
 * Null unless the address is ours, the kernel's own look-up finds no socket, and nothing but the kernel refused: a reset that a firewall
 * forged leaves a packet that was not delivered, one that came from another machine leaves no reset sent (OutRsts).
 */
export function refusedHere({ evidence }: AddressQuestion): RefusedHere | null {
  if (evidence.protocol !== 'tcp' || evidence.ours !== true) return null;
  const { before, attempt, endpoint } = evidence;
  if (before.lookup === null || before.lookup.found !== null) return null;
  if (attempt !== null && !byKernel(evidence)) return null;
  const sockets = (before.sockets ?? []).filter(({ state }) => state === 'LISTEN' || state === 'BOUND');
  return { endpoint, evidence, sockets, elsewhere: evidence.elsewhere ?? [] };
}

function byKernel({ attempt, endpoint }: InetEvidence): boolean {
  if (attempt === null || attempt.errno !== 'ECONNREFUSED' || attempt.refusals.length > 0) return false;
  const lost = lostOnTheWay(attempt, endpoint.address);
  if ((lost.out ?? 0) > 0 || (lost.in ?? 0) > 0) return false;
  return attempt.counters['Tcp.OutRsts'] !== 0;
}
