/** Ports that are forwarded: to a container by the firewall, or by a proxy of its engine. */
import { formatAddress, isLoopback } from '../../../model/address.ts';
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

/** Where the port is forwarded to, as conntrack or else the rule says; only root sees either. An entry that was only refused is gone at once. */
export function forwardedTo({ firewall, endpoint }: Inet): string | null {
  const tracked = firewall?.forwardedTo ?? null;
  if (tracked !== null) return formatAddress(tracked.address, tracked.port);
  const [, address = null, port = endpoint.port] =
    firewall?.rules
      ?.map(({ verdict }) => /^dnat(?: ip6?)? to \[?([0-9a-f.:]+?)\]?(?::(\d+))?$/i.exec(verdict))
      .find((match) => match !== null) ?? [];
  return address === null ? null : formatAddress(address, Number(port));
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
