import { addressCause } from './form.ts';
import { across, chain } from './shared/hosts.ts';
import { change } from './shared/look.ts';
import {
  isHostUnreachable,
  isPortUnreachable,
  isTimeExceeded,
  meaning,
  refusedElsewhere,
} from './shared/refused-elsewhere.ts';

/** An ICMP refusal that the destination itself sent: a kernel without a listener answers TCP with a reset, never so. */
export default addressCause({
  id: 'server-firewall-rejects',
  title: 'The firewall of the other host rejects the connection',
  on: ['linux'],
  at: 'server',
  page: {
    see: '`EHOSTUNREACH`, "No route to host", or `ECONNREFUSED`, `ENETUNREACH`, `EACCES`, `ENOPROTOOPT`, while `ping` works. firewalld and the default rules of Red Hat and Oracle answer "No route to host".',
    why: 'The host itself answered with an ICMP message. A kernel without a listener answers TCP with a reset and never with ICMP, so this is a rule of its firewall. These messages are limited to about one a second, so further attempts may hang as if the packets were dropped.',
    now: 'Allow the port on the other host: `firewall-cmd --add-port=PORT/tcp`, `ufw allow PORT/tcp`, or a rule of nftables or iptables before the one that rejects.',
    prevent: 'Reject with `icmp admin-prohibited`, which tools recognise as the answer of a firewall.',
  },
  recognise(question) {
    const refused = refusedElsewhere(question);
    if (refused === null || refused.from !== refused.address || isTimeExceeded(refused.refusal)) return null;
    // The kernel of the host answers a datagram to a port that nobody has.
    if (refused.protocol === 'udp' && isPortUnreachable(refused.refusal)) return null;
    // A host that forwards the port and does not find where to.
    if (refused.late && isHostUnreachable(refused.refusal)) return null;
    const { endpoint, address, port, errno } = refused;
    return { endpoint, address, port, errno, meaning: meaning(refused.refusal) };
  },
  say: ({ address, port, errno, meaning }) =>
    `The firewall of ${address} rejects port ${port}: it answers "${meaning}" (${errno})`,
  remedies: ({ address, port }) => [
    change('change-firewall', `Allow port ${port} in the firewall of ${address}`, null),
  ],
  stages: [
    ...(
      [
        ['reject', 'ECONNREFUSED', false],
        ['reject with icmp net-unreachable', 'ENETUNREACH', false],
        ['reject with icmp host-unreachable', 'EHOSTUNREACH', false],
        ['reject with icmp prot-unreachable', 'ENOPROTOOPT', false],
        ['reject with icmp host-prohibited', 'EHOSTUNREACH', false],
        ['reject with icmp admin-prohibited', 'EHOSTUNREACH', false],
        ['reject with icmpv6 admin-prohibited', 'EACCES', true],
        ['reject with icmpv6 policy-fail', 'EACCES', true],
      ] as const
    ).map(([verdict, errno, ipv6]) => ({
      title: `the firewall of the server says "${verdict}"`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof across>[0]) =>
        across(
          stage,
          `the firewall of the server says "${verdict}" for port PORT`,
          ({ server }, port) => server.nft(chain('input', `tcp dport ${port} ${verdict}`)),
          { ipv6 },
        ),
      expect: { reachable: false, errno, remedies: ['change-firewall'] as const },
    })),
    {
      title: 'the server limits its refusals to one a second, and the first one is not sent',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the server rejects port PORT, and its limit for ICMP messages is used up',
          async ({ client, server, addresses }, port) => {
            await server.nft(chain('input', `tcp dport ${port} reject with icmp admin-prohibited`));
            await server.setting('ipv4.icmp_ratelimit', '1000');
            // A burst of six is let through (icmp_ratelimit of the kernel's ip-sysctl.rst).
            const actor = await client.actor('other-client');
            for (let i = 0; i < 8; i++) {
              const socket = await actor.open();
              await socket.beginConnect(addresses.server.ipv4, port);
              await socket.close();
            }
          },
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH' },
    },
    {
      title: 'the firewall of the server rejects datagrams',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the firewall of the server rejects UDP port PORT',
          ({ server }, port) => server.nft(chain('input', `udp dport ${port} reject with icmp admin-prohibited`)),
          { udp: true },
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH' },
    },
  ],
});
