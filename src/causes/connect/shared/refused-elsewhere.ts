/** Refusals that came from another host, by an ICMP message: who sent it and what it says (RFC 792, RFC 1122 3.2.2.1, RFC 4443 3.1). */
import type { Refusal } from '../../../model/reach/evidence.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';
import { inetOf, isLate, isOwn, placeOf, refusalOf } from './attempts.ts';

export interface RefusedElsewhere {
  readonly endpoint: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly errno: string;
  readonly refusal: Refusal;
  readonly from: string;
  /** It came so late that the sender looked for a neighbour first. */
  readonly late: boolean;
}

/** ICMP type 11 and ICMPv6 type 3: time exceeded. */
const timeExceeded = { icmp: 11, icmp6: 3 } as const;

/** Null unless a host other than this machine answered with ICMP. */
export function refusedElsewhere(question: AddressQuestion): RefusedElsewhere | null {
  const evidence = inetOf(question);
  if (evidence === null || evidence.ours === true) return null;
  const refusal = refusalOf(evidence);
  if (refusal?.from == null || isOwn(evidence, refusal.from)) return null;
  if (refusal.origin !== 'icmp' && refusal.origin !== 'icmp6') return null;
  const { endpoint, protocol } = evidence;
  return {
    endpoint: placeOf(evidence),
    address: endpoint.address,
    port: endpoint.port,
    protocol,
    errno: refusal.errno,
    refusal,
    from: refusal.from,
    late: isLate(evidence),
  };
}

export function isTimeExceeded({ origin, type }: Refusal): boolean {
  return (origin === 'icmp' && type === timeExceeded.icmp) || (origin === 'icmp6' && type === timeExceeded.icmp6);
}

/** What a message of type "unreachable" says in words. */
export function meaning({ origin, code }: Refusal): string {
  const words = origin === 'icmp6' ? icmp6 : icmp;
  return words[code] ?? `code ${code}`;
}

const icmp: Readonly<Record<number, string>> = {
  0: 'network unreachable',
  1: 'host unreachable',
  2: 'protocol unreachable',
  3: 'port unreachable',
  9: 'network prohibited',
  10: 'host prohibited',
  13: 'administratively prohibited',
};
const icmp6: Readonly<Record<number, string>> = {
  0: 'no route',
  1: 'administratively prohibited',
  3: 'address unreachable',
  4: 'port unreachable',
  5: 'source address failed policy',
  6: 'reject route',
};

/** The message of a router, or a kernel, that looked for the host and did not find it. */
export function isHostUnreachable({ origin, code }: Refusal): boolean {
  return code === (origin === 'icmp6' ? 3 : 1);
}

/** The message of a router without a route. */
export function isNoRoute({ code }: Refusal): boolean {
  return code === 0;
}

export function isPortUnreachable({ origin, code }: Refusal): boolean {
  return code === (origin === 'icmp6' ? 4 : 3);
}
