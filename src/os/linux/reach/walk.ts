/**
 * How far packets to an address come: SYNs with growing TTL, as traceroute(8) does with TCP, but by ordinary sockets, for which the kernel
 * keeps who said that the time was exceeded (ip(7), IP_RECVERR). Any user may. A server sees none but those that come as far as it.
 *
 * A router that stays silent is no proof: many do.
 */
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import type { Hop } from '../../../model/reach/evidence.ts';
import { sockets } from '../calls/socket.ts';
import { connectOnce } from './attempt.ts';

/** Asked at the same time: as a rule the whole way. */
const together = 8;
const mostHops = 24;
const answerMs = 400;

/** ICMP time exceeded; of ICMPv6 (include/uapi/linux/icmp.h, icmpv6.h). */
const exceeded = { icmp: 11, icmp6: 3 } as const;

export async function walkTo(to: InetEndpoint, signal: AbortSignal | undefined, gaps: Gap[]): Promise<readonly Hop[]> {
  const hops: Hop[] = [];
  for (let first = 1; first <= mostHops; first += together) {
    const part = await Promise.all(
      Array.from({ length: together }, (_, index) => hopAt(to, first + index, signal, gaps)),
    );
    for (const { hop, arrived } of part) {
      hops.push(hop);
      if (arrived) return hops;
    }
    // The last ones that answered came before two that did not.
    if (part.slice(-2).every(({ hop }) => hop.from === null)) break;
  }
  while (hops.length > 2 && hops.slice(-3).every(({ from }) => from === null)) hops.pop();
  return hops;
}

async function hopAt(
  to: InetEndpoint,
  ttl: number,
  signal: AbortSignal | undefined,
  gaps: Gap[],
): Promise<{ hop: Hop; arrived: boolean }> {
  const { fd, errno, refusals } = await connectOnce(to, { timeoutMs: answerMs, ttl, signal }, ttl === 1 ? gaps : []);
  if (fd !== null) sockets.close(fd);
  const [refusal] = refusals;
  if (refusal === undefined) {
    const arrived = errno === null || errno === 'ECONNREFUSED';
    return { hop: { ttl, from: arrived ? to.address : null, type: null, code: null }, arrived };
  }
  const { origin, type, code, from } = refusal;
  const onTheWay = (origin === 'icmp' || origin === 'icmp6') && type === exceeded[origin];
  return { hop: { ttl, from, type, code }, arrived: !onTheWay };
}
