import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** Small packets pass and big ones vanish: path MTU discovery gets no ICMP message (RFC 2923). */
export default addressCause({
  id: 'mtu-black-hole',
  title: 'Large packets are lost on the way',
  on: ['linux'],
  at: 'answer',
  page: {
    see: 'It connects, small answers arrive, and large ones never do: TLS handshakes hang, `fetch` times out, `ssh` stops after the login.',
    why: 'A tunnel on the way (VPN, overlay network, PPPoE) carries only smaller packets, and the ICMP message that would say so is filtered. TCP retransmits the large packet until it gives up. rebind tries a second connection that announces segments of 536 bytes; an answer to that one proves the cause.',
    now: 'Lower the MTU of the interface that leads there, such as `ip link set dev eth0 mtu 1400`, or let the router rewrite the segment size: `tcp option maxseg size set rt mtu` in nftables.',
    prevent:
      'Set the MTU of the tunnel and of container networks (`com.docker.network.driver.mtu`). Let ICMP "fragmentation needed" pass. `net.ipv4.tcp_mtu_probing=1` lets a server find the right size after some seconds.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const connected = evidence?.connected ?? null;
    if (evidence === null || connected?.smallSegments?.kind !== 'bytes') return null;
    if ((connected.request ?? connected.first)?.kind !== 'silence') return null;
    const { route } = evidence.before;
    return { endpoint: placeOf(evidence), device: route?.device ?? null, mtu: evidence.before.link?.mtu ?? null };
  },
  say: ({ endpoint, device, mtu }) =>
    `Large packets from ${endpoint} are lost on the way: it answers in small ones${device === null || mtu === null ? '' : `, and ${device} announces ${mtu} bytes`}`,
  remedies: ({ device }, question) => [
    change(
      'change-network',
      `Lower the MTU of ${device ?? 'the interface that leads there'}`,
      device === null ? null : question.advice.network?.mtu(device, 1400),
    ),
  ],
  stages: [
    {
      title: 'a router drops packets above 1300 bytes without a word',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the router drops packets of the server above 1300 bytes, and the answer of its Node server on port PORT is large',
          async ({ router, server, addresses }, port) => {
            await router.nft(
              `table ip stage { chain forward { type filter hook forward priority 0; ip saddr ${addresses.server.ipv4} ip length gt 1300 drop; }; }`,
            );
            await server.nodeProgram(
              `require('node:http').createServer((request, response) => response.end('x'.repeat(60000))).listen(${port}, () => require('node:fs').writeSync(1, 'listening on port ${port}\\n'));`,
            );
          },
          { flags: ['--request'] },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['change-network'] },
    },
  ],
});
