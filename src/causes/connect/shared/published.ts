/** Ports that are forwarded: to a container by the firewall, or by a proxy of its engine. */
import { isLoopback, shortestIpv6 } from '../../../model/address.ts';
import type { ElsewhereListener, InetEvidence, UdpEvidence } from '../../../model/reach/evidence.ts';
import { forwardedTo } from '../../../model/reach/forwarded.ts';
import { grew, refusalOf, undelivered, unsent } from './attempts.ts';

type Inet = InetEvidence | UdpEvidence;

/** Listeners of a container on its loopback address, where nothing else there listens and the connection to the published port failed. */
export function innerLoopback(evidence: Inet): readonly ElsewhereListener[] {
  if (evidence.ours !== true || !isForwarded(evidence)) return [];
  const to = forwardedTo(evidence.firewall, evidence.endpoint);
  const port = to?.port ?? evidence.endpoint.port;
  // A rule leads to the network that has the address; a proxy of an engine may lead to any.
  const isThere = ({ addresses, otherUsers }: ElsewhereListener): boolean =>
    to === null || (!otherUsers && addresses.includes(shortestIpv6(to.address)));
  const inside = (evidence.elsewhere ?? []).filter((one) => one.local.port === port && isThere(one));
  return inside.every(({ local }) => isLoopback(local.address)) ? inside : [];
}

/** The address is ours, and the refusal came from no socket of ours: no reset was sent here, and nothing lost. */
export function isRefusedBehind(evidence: Inet): boolean {
  const { attempt } = evidence;
  if (evidence.ours !== true || evidence.protocol !== 'tcp') return false;
  if (attempt?.errno !== 'ECONNREFUSED' || attempt.by !== 'later' || refusalOf(evidence) !== null) return false;
  return grew(evidence, 'Tcp.OutRsts') === 0 && unsent(evidence) <= 0 && undelivered(evidence) <= 0;
}

function isForwarded(evidence: Inet): boolean {
  const said = evidence.connected?.request ?? evidence.connected?.first;
  return isRefusedBehind(evidence) || said?.kind === 'end' || said?.kind === 'reset';
}
