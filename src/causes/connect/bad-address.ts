import { list } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { connectTo } from './shared/look.ts';

/** An address that no TCP client can connect to. */
export default addressCause({
  id: 'bad-address',
  title: 'No client can connect to an address of this kind',
  on: ['linux'],
  at: 'client',
  page: {
    see: '`EINVAL` for a link-local IPv6 address such as `fe80::1`, `ENETUNREACH` for a multicast or broadcast address, at once and without a packet.',
    why: 'A link-local address is only complete with the network interface that it belongs to: `fe80::1%eth0`. Every interface has a network `fe80::/64`, so the kernel cannot choose one. TCP has exactly two ends, so an address that stands for many hosts has no meaning for it.',
    now: 'Add the zone, `fe80::1%eth0`; `ip -6 -br addr` shows the interfaces. In a URL, browsers and fetch accept no zone: use a global address, a unique local one, or a name. Replace a multicast or broadcast address with that of a host.',
    prevent: 'Put no link-local addresses into DNS or configuration files.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null) return null;
    const { address } = evidence.endpoint;
    const kind = kindOf(address, evidence.before.route?.type ?? null, evidence.protocol);
    if (kind === null) return null;
    // With an answer it is none, whatever it looks like.
    if (evidence.before.dryRun !== null && evidence.before.dryRun.errno === null && kind === 'link-local') return null;
    return { endpoint: placeOf(evidence), address, kind };
  },
  say({ address, kind }) {
    if (kind === 'link-local')
      return `${address} is a link-local address without a network interface, such as ${address}%eth0`;
    return `${address} is a ${kind} address: it stands for several hosts, and TCP connects to exactly one`;
  },
  remedies({ address, kind }) {
    if (kind !== 'link-local') return [connectTo('Connect to the address of one host', [])];
    const named = [`${address}%eth0`];
    return [connectTo(`Name the network interface: ${list(named)}; "ip -6 -br addr" shows them`, named)];
  },
  stages: (
    [
      ['fe80::1', 'EINVAL', 'a link-local address is asked for without its interface'],
      ['224.0.0.1', 'ENETUNREACH', 'a multicast address is asked for'],
      ['255.255.255.255', 'ENETUNREACH', 'the broadcast address is asked for'],
      ['ff02::1', 'ENETUNREACH', 'an IPv6 multicast address is asked for'],
    ] as const
  ).map(([host, errno, title]) => ({
    title,
    needs: ['network'],
    stage: (stage) => across(stage, `a client wants to connect to ${host}`, async () => {}, { host }),
    expect: { reachable: false, errno, remedies: ['use-address'] },
  })),
});

type Kind = 'link-local' | 'multicast' | 'broadcast';

function kindOf(address: string, route: string | null, protocol: 'tcp' | 'udp'): Kind | null {
  if (/^fe[89ab][0-9a-f]:/i.test(address) && !address.includes('%')) return 'link-local';
  // A datagram may go to many.
  if (protocol === 'udp') return null;
  if (/^ff[0-9a-f]{2}:/i.test(address) || /^(22[4-9]|23\d)\./.test(address) || route === 'multicast')
    return 'multicast';
  return address === '255.255.255.255' || route === 'broadcast' ? 'broadcast' : null;
}
