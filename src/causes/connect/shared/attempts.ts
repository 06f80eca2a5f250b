/** What causes of connecting read off what was sent to an address. */
import { formatAddress } from '../../../model/address.ts';
import type { Attempt, Datagram, InetEvidence, Refusal, UdpEvidence } from '../../../model/reach/evidence.ts';
import { lostOnTheWay } from '../../../model/reach/path.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';

type Inet = InetEvidence | UdpEvidence;
type Sent = Pick<Attempt | Datagram, 'counters'>;

/** The evidence of a TCP or UDP address; null for a Unix socket. */
export function inetOf({ evidence }: AddressQuestion): Inet | null {
  return evidence.protocol === 'unix' ? null : evidence;
}

/** `10.50.2.2:3000`, `udp/10.50.2.2:53`. */
export function placeOf({ protocol, endpoint }: Inet): string {
  const text = formatAddress(endpoint.address, endpoint.port);
  return protocol === 'udp' ? `udp/${text}` : text;
}

/** What was sent to the address, the last first: what the second try saw is worth more. */
export function sentTo(evidence: Inet): readonly (Attempt | Datagram)[] {
  const datagram = 'datagram' in evidence ? evidence.datagram : null;
  return [evidence.again, evidence.attempt, datagram].filter((one) => one !== null && one !== undefined);
}

/** How much a counter grew, over all attempts; 0 where the kernel has no such counter. */
export function grew(evidence: Inet, name: string): number {
  return sentTo(evidence).reduce((sum, { counters }) => sum + (counters[name] ?? 0), 0);
}

/** A neighbour that does not answer is reported after three tries a second apart (arp_queue, mcast_solicit: neighbour.c). */
const neighbourMs = 2_500;

/** A refusal came so late that the kernel, or a router, looked for a neighbour first; a second attempt meets the end of that look. */
export function isLate({ attempt, again }: Inet): boolean {
  if (attempt === null || attempt.errno === null) return false;
  return attempt.errno === 'ETIMEDOUT' ? again?.errno === 'EHOSTUNREACH' : attempt.elapsedMs >= neighbourMs;
}

/** The errno that the last attempt met. */
export function lastErrno(evidence: Inet): string | null {
  return sentTo(evidence)[0]?.errno ?? null;
}

/** Nobody answered, as often as it was tried. */
export function isSilent(evidence: Inet): boolean {
  if ('datagram' in evidence && evidence.datagram !== null)
    return evidence.datagram.errno === null && evidence.datagram.reply?.kind === 'silence';
  return evidence.attempt?.errno === 'ETIMEDOUT' && (evidence.again === null || evidence.again.errno === 'ETIMEDOUT');
}

/** Packets that left a socket and never this machine; 0 where the kernel does not count them. */
export function unsent(evidence: Inet): number {
  return least(evidence, (sent) => lostOnTheWay(sent, evidence.endpoint.address).out);
}

/** Packets that arrived and never reached a protocol. */
export function undelivered(evidence: Inet): number {
  return least(evidence, (sent) => lostOnTheWay(sent, evidence.endpoint.address).in);
}

/** The address is looked for on a bridge of this machine, where nobody has it. */
export function isForeignBridge(evidence: Inet): boolean {
  const { link, route, neighbour } = evidence.before;
  if (evidence.ours !== false || link?.kind !== 'bridge' || route?.type !== 'unicast' || route.gateway !== null)
    return false;
  const errno = lastErrno(evidence);
  return errno === 'EHOSTUNREACH' || (errno !== null && neighbour?.state === 'FAILED');
}

/**
 * Our own packets came back, with our own source: packets arrived that were not delivered, and the kernel counted such a source. That
 * counter is one for all namespaces, so it says nothing alone; nor does it where a rule of ours has dropped them.
 */
export function leadsBack(evidence: Inet): boolean {
  if (evidence.ours !== false || !isSilent(evidence) || undelivered(evidence) === 0) return false;
  const ruled = evidence.firewall?.rules?.some(({ verdict }) => /drop|reject|queue/.test(verdict)) === true;
  if (ruled || grew(evidence, 'TcpExt.IPReversePathFilter') > 0) return false;
  return sentTo(evidence).every(
    (sent) => lostOnTheWay(sent, evidence.endpoint.address).in === sent.counters['Route.in_martian_src'],
  );
}

/** This machine itself has lost the packets: what is behind it is not known. */
export function isLostHere(evidence: Inet): boolean {
  const counters = ['Conntrack.drop', 'TcpExt.IPReversePathFilter', 'TcpExt.TCPRetransFail'];
  return unsent(evidence) > 0 || undelivered(evidence) > 0 || counters.some((name) => grew(evidence, name) > 0);
}

/** The gateway, where it is alive and does not report a packet whose time to live ends there, as every router that forwards does. */
export function mutedGateway({ before, hops, neighbourAfter }: Inet): string | null {
  const gateway = before.route?.gateway ?? null;
  const neighbour = neighbourAfter ?? before.neighbour;
  if (gateway === null || hops === null || hops.length === 0 || hops.some(({ from }) => from !== null)) return null;
  const alive = neighbour?.address === gateway && /^(REACHABLE|DELAY|PROBE|STALE)$/.test(neighbour.state);
  return alive ? gateway : null;
}

/** What the error queue of the last attempt that met a refusal says first. */
export function refusalOf(evidence: Inet): Refusal | null {
  return sentTo(evidence).find(({ refusals }) => refusals.length > 0)?.refusals[0] ?? null;
}

/** Addresses that are this machine's in this attempt: where it came from, and where it went when that is ours. */
export function isOwn(evidence: Inet, address: string | null): boolean {
  if (address === null) return false;
  const { before, attempt, endpoint, ours } = evidence;
  return (
    address === before.dryRun?.source ||
    address === attempt?.local?.address ||
    (ours === true && address === endpoint.address)
  );
}

/** The smallest over all attempts: a packet of somebody else that was lost during one of them is no proof. */
function least(evidence: Inet, of: (sent: Sent) => number | null): number {
  const all = sentTo(evidence).map((sent) => of(sent) ?? 0);
  return all.length === 0 ? 0 : Math.max(0, Math.min(...all));
}
