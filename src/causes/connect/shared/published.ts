/** Ports that are forwarded: to a container by the firewall, or by a proxy of its engine. */
import { isLoopback } from '../../../model/address.ts';
import type { ElsewhereListener, InetEvidence, UdpEvidence } from '../../../model/reach/evidence.ts';
import { grew, refusalOf, undelivered, unsent } from './attempts.ts';

type Inet = InetEvidence | UdpEvidence;

/** Listeners of a container on its loopback address, where nothing else there listens and the connection to the published port failed. */
export function innerLoopback(evidence: Inet): readonly ElsewhereListener[] {
  if (evidence.ours !== true || !isForwarded(evidence)) return [];
  const port = evidence.firewall?.forwardedTo?.port ?? evidence.endpoint.port;
  const inside = (evidence.elsewhere ?? []).filter(({ local }) => local.port === port);
  return inside.every(({ local }) => isLoopback(local.address)) ? inside : [];
}

/** The address is ours, and what answered was no socket of ours: no reset was sent here, and nothing lost. */
function isForwarded(evidence: Inet): boolean {
  const { before, attempt, connected } = evidence;
  if (before.lookup?.found === null && attempt?.errno === 'ECONNREFUSED')
    return (
      refusalOf(evidence) === null &&
      grew(evidence, 'Tcp.OutRsts') === 0 &&
      unsent(evidence) <= 0 &&
      undelivered(evidence) <= 0
    );
  const said = connected?.request ?? connected?.first;
  return said?.kind === 'end' || said?.kind === 'reset';
}
