import { addressCause } from './form.ts';
import { across, chain } from './shared/hosts.ts';
import { change } from './shared/look.ts';
import { isHostUnreachable, isNoRoute, isTimeExceeded, meaning, refusedElsewhere } from './shared/refused-elsewhere.ts';

/** An ICMP refusal from a host between here and the destination. */
export default addressCause({
  id: 'router-rejects',
  title: 'A router or firewall on the way rejects the connection',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`EHOSTUNREACH`, `ECONNREFUSED`, `ENETUNREACH` or `EACCES`, from a host that is alive.',
    why: 'A router or firewall between this machine and the target answered in its place. The ICMP message names its sender. For a container, that router is often its own host: Docker rejects traffic between networks with "administratively prohibited".',
    now: 'Change the rule on the router that is named, or ask who runs it.',
    prevent: 'Test connections from where the clients are: from inside of the container or network.',
  },
  recognise(question) {
    const refused = refusedElsewhere(question);
    if (refused === null || refused.from === refused.address || isTimeExceeded(refused.refusal)) return null;
    const { endpoint, port, from, errno, refusal, late } = refused;
    if ((isHostUnreachable(refusal) && late) || isNoRoute(refusal)) return null;
    return { endpoint, port, from, errno, meaning: meaning(refusal) };
  },
  say: ({ endpoint, from, errno, meaning }) =>
    `${from}, a router on the way to ${endpoint}, rejects the connection: "${meaning}" (${errno})`,
  remedies: ({ endpoint, from }) => [
    change('change-firewall', `Allow connections to ${endpoint} on ${from}`, null, { router: from }),
  ],
  stages: [
    ...(
      [
        ['reject', 'ECONNREFUSED', false],
        ['reject with icmp host-unreachable', 'EHOSTUNREACH', false],
        ['reject with icmp admin-prohibited', 'EHOSTUNREACH', false],
        ['reject with icmpv6 admin-prohibited', 'EACCES', true],
      ] as const
    ).map(([verdict, errno, ipv6]) => ({
      title: `a router says "${verdict}"`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof across>[0]) =>
        across(
          stage,
          `the router says "${verdict}" for port PORT`,
          ({ router }, port) => router.nft(chain('forward', `tcp dport ${port} ${verdict}`)),
          { ipv6 },
        ),
      expect: { reachable: false, errno, remedies: ['change-firewall'] as const },
    })),
    {
      title: 'a route of the router prohibits the server',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'a route of the router prohibits the server', ({ router, addresses }) =>
          router.shell(`ip route add prohibit ${addresses.server.ipv4}`),
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH' },
    },
  ],
});
