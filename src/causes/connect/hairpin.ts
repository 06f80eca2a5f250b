import { addressCause } from './form.ts';
import { inetOf, leadsBack, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** Our own SYN came back with our own source address, by a router that only rewrote its destination (IP_LOCAL_SOURCE, in_martian_src). */
export default addressCause({
  id: 'hairpin',
  title: 'A container connects to its own published port',
  on: ['linux'],
  at: 'network',
  page: {
    see: 'The connect hangs when a container, or a host behind NAT, asks for its own service by the public address. Other machines reach it.',
    why: 'The gateway forwards the port back to this machine and rewrites only the destination. The packet arrives with an address of this machine as its source, so the kernel discards it as forged.',
    now: 'Connect to the internal address: `127.0.0.1`, or the name of the service in the container network. Or let the gateway also rewrite the source: `masquerade` for traffic that goes back to the same network; with Docker, the user-land proxy or `hairpin` mode.',
    prevent: 'Let services on one host or network reach each other by their internal names.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || !leadsBack(evidence)) return null;
    return { endpoint: placeOf(evidence), address: evidence.endpoint.address, port: evidence.endpoint.port };
  },
  say: ({ endpoint, address }) =>
    `${endpoint} leads back to this machine: ${address} forwards the packets without changing their source, and the kernel discards them`,
  remedies: ({ address }) => [
    change('use-address', 'Connect to the address inside: 127.0.0.1, or the name of the service in its network', null, {
      addresses: ['127.0.0.1'],
    }),
    change('change-firewall', `Let ${address} rewrite the source of what it sends back (masquerade)`, null, {
      router: address,
    }),
  ],
  stages: [
    {
      title: 'a host asks for a port of its router that is forwarded to itself',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the router forwards its port PORT to the server, which asks for it',
          async ({ router, server, addresses }, port) => {
            await router.nft(
              `table ip stage { chain prerouting { type nat hook prerouting priority -100; ip daddr ${addresses.routerToServer.ipv4} tcp dport ${port} dnat to ${addresses.server.ipv4}; }; }`,
            );
            const socket = await (await server.actor('server')).open();
            await socket.bind('0.0.0.0', port);
            await socket.listen();
          },
          { asks: 'server', host: '10.50.2.1' },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['use-address', 'change-firewall'] },
      alone: true,
    },
  ],
});
