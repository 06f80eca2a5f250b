import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across, alone } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** The routing table has no entry that covers the address (fib_lookup, ENETUNREACH). */
export default addressCause({
  id: 'no-route',
  title: 'This machine has no route to the address',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`ENETUNREACH`, "Network is unreachable", at once. Node adds `- Local (0.0.0.0:0)` to the message: no packet was sent.',
    why: 'The routing table of this machine, or of this container, has no entry that covers the address, and no default route. Often the network is not up yet, a VPN has removed the default route, or the address is IPv6 and the machine has only IPv4 connectivity. A route of the type `throw` gives the same error.',
    now: 'Look at the route with `ip route get ADDRESS`, and at the interfaces with `ip -br addr`. Add the route, or connect to an address that has one.',
    prevent:
      'Start the client after the network: `After=network-online.target` in a systemd unit. Publish no AAAA record where clients have no IPv6.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence?.before.route?.errno !== 'ENETUNREACH' || evidence.before.ipv6Disabled === true) return null;
    return { endpoint: placeOf(evidence), address: evidence.endpoint.address };
  },
  say: ({ address }) => `This machine has no route to ${address}`,
  remedies: ({ address }, question) => [
    change(
      'change-network',
      'Add the route that is missing; the kernel says which it would take',
      question.advice.network?.route(address),
    ),
  ],
  stages: [
    ...([false, true] as const).map((ipv6) => ({
      title: `a host without a default route asks for ${ipv6 ? 'an IPv6' : 'an IPv4'} address of another network`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof across>[0]) =>
        across(
          stage,
          'the client has lost its default route',
          ({ client }) => client.shell('ip route del default', 'ip -6 route del default'),
          { ipv6 },
        ),
      expect: { reachable: false, errno: 'ENETUNREACH', remedies: ['change-network'] as const },
    })),
    {
      title: 'a route of the type throw covers the address',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a route of the type throw covers 10.50.2.2',
          (host) => host.shell('ip route add throw 10.50.2.2'),
          {
            host: '10.50.2.2',
          },
        ),
      expect: { reachable: false, errno: 'ENETUNREACH' },
    },
    {
      title: 'a datagram is to be sent where no route leads',
      needs: ['network'],
      stage: (stage) => alone(stage, 'the host has no route', async () => {}, { host: '10.50.2.2', udp: true }),
      expect: { reachable: false, errno: 'ENETUNREACH' },
    },
  ],
});
