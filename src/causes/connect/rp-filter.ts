import { addressCause } from './form.ts';
import { grew, inetOf, isSilent, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** Reverse path filtering drops a packet that arrives on another interface than the one that leads back (RFC 3704; fib_validate_source). */
export default addressCause({
  id: 'rp-filter',
  title: 'Reverse path filtering drops the answers',
  on: ['linux'],
  at: 'firewall',
  page: {
    see: 'The connect hangs, although packets arrive (tcpdump shows them). Often on machines with two networks, a VPN or policy routing.',
    why: 'The setting `rp_filter` is 1 (strict): the kernel drops a packet when its own route to the sender leaves by another interface than the one on which the packet arrived. It counts them as `TcpExt.IPReversePathFilter`.',
    now: 'Make the routes of both directions use the same interface, or set `net.ipv4.conf.all.rp_filter=2` (loose).',
    prevent:
      'Add the routes of a second network to a table of its own, with a rule for its addresses: `ip rule add from ADDRESS lookup 100`.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || !isSilent(evidence) || grew(evidence, 'TcpExt.IPReversePathFilter') === 0) return null;
    return {
      endpoint: placeOf(evidence),
      address: evidence.endpoint.address,
      device: evidence.before.route?.device ?? null,
    };
  },
  say: ({ endpoint, device }) =>
    `This machine drops the answers of ${endpoint} by reverse path filtering: they do not arrive on ${device ?? 'the interface'}, which leads to it`,
  remedies: (_args, question) => [
    change(
      'set-option',
      'Set reverse path filtering to loose until reboot',
      question.advice.network?.set('net.ipv4.conf.all.rp_filter', '2'),
      { setting: 'net.ipv4.conf.all.rp_filter' },
    ),
  ],
  stages: [
    {
      title: 'the answers arrive on another interface than the one that leads to the server',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'packets to the server leave the client by a second link, and its answers arrive on the first, with strict reverse path filtering',
          async ({ client, router, server, addresses }, port) => {
            await client.run([
              ...['ip', 'link', 'add', 'second', 'type', 'veth', 'peer', 'name', 'second', 'netns', `${router.keeper}`],
            ]);
            await router.shell('ip addr add 10.50.3.1/24 dev second', 'ip link set second up');
            await client.shell(
              'ip addr add 10.50.3.2/24 dev second',
              'ip link set second up',
              `ip route add ${addresses.server.ipv4} via 10.50.3.1 src ${addresses.client.ipv4}`,
              'echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter',
            );
            const listener = await (await server.actor('server')).open();
            await listener.bind('0.0.0.0', port);
            await listener.listen();
          },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['set-option'] },
    },
  ],
});
