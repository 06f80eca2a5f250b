import { addressCause } from './form.ts';
import { across } from './shared/hosts.ts';
import { refusedByRoute, refusingRoutes, removeRoute } from './shared/refusing-route.ts';

/** A route or a rule of the type prohibit (ip-route(8), ip-rule(8)). */
export default addressCause({
  id: 'route-prohibit',
  title: 'A route or a routing rule of this machine prohibits the address',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`EACCES`, "Permission denied", at once and without a packet. Running as root changes nothing.',
    why: 'The routing table of this machine has a route of the type `prohibit` that covers the address, or a rule of `ip rule` prohibits it. The kill switch of a VPN does that.',
    now: 'Show routes with `ip route show table all type prohibit` and rules with `ip rule`. Start the VPN that owns it, or delete it.',
    prevent: 'Exclude the network of the target from the VPN.',
  },
  recognise: (question) => refusedByRoute(question, 'EACCES'),
  say: ({ address }) => `A route or a routing rule of this machine prohibits ${address}`,
  remedies: (args, question) => removeRoute(args, 'prohibit', question),
  stages: [
    ...refusingRoutes('prohibit', 'EACCES'),
    {
      title: 'a routing rule prohibits an address that has a route',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'a rule of the client prohibits the server', ({ client, addresses }) =>
          client.shell(`ip rule add to ${addresses.server.ipv4} prohibit`),
        ),
      expect: { reachable: false, errno: 'EACCES' },
    },
  ],
});
