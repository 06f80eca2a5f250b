import { addressCause } from './form.ts';
import { inetOf, isLostHere, isSilent, mutedGateway, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/**
 * The gateway is alive and does not report a packet whose time to live ends there. A router that forwards does, before its forward chain
 * sees the packet (ip_forward); one that does not forward discards it without a word.
 */
export default addressCause({
  id: 'no-forwarding',
  title: 'The gateway does not seem to forward packets',
  on: ['linux'],
  at: 'network',
  page: {
    see: 'Every connect to other networks hangs, while the gateway itself can be reached.',
    why: 'The gateway of this machine answers on the network, but reports no packet whose time to live ends there, as every router does. Usually its setting `net.ipv4.ip_forward` is 0, which breaks containers and virtual machines whose host is the gateway. A blackhole route of the gateway, or a firewall on it that drops everything, looks the same.',
    now: 'On the gateway, set `sysctl -w net.ipv4.ip_forward=1` (for IPv6 `net.ipv6.conf.all.forwarding=1`). Docker sets it when it starts; something has set it back.',
    prevent: 'Write the setting into /etc/sysctl.d, so that reloading other settings does not remove it.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || evidence.ours !== false || !isSilent(evidence) || isLostHere(evidence)) return null;
    const gateway = mutedGateway(evidence);
    return gateway === null ? null : { endpoint: placeOf(evidence), address: evidence.endpoint.address, gateway };
  },
  say: ({ address, gateway }) =>
    `The gateway ${gateway} is on the network, but does not seem to forward packets to ${address}`,
  remedies: ({ address, gateway }, question) => [
    change(
      'change-network',
      `On ${gateway}, enable forwarding, or look at its route to ${address} and at its firewall`,
      question.advice.network?.set('net.ipv4.ip_forward', '1'),
      { router: gateway },
    ),
  ],
  stages: [
    {
      title: 'the gateway of the client does not forward',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'the router does not forward', ({ router }) => router.setting('ipv4.ip_forward', '0')),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['change-network'] },
    },
    {
      title: 'a blackhole route of the router swallows the packets',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'a blackhole route of the router covers the server', ({ router, addresses }) =>
          router.shell(`ip route add blackhole ${addresses.server.ipv4}`),
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
  ],
});
