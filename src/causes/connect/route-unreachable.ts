import { addressCause } from './form.ts';
import { refusedByRoute, refusingRoutes, removeRoute } from './shared/refusing-route.ts';

/** A route of the type unreachable (ip-route(8)). */
export default addressCause({
  id: 'route-unreachable',
  title: 'A route of this machine says that the address is unreachable',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`EHOSTUNREACH`, "No route to host", at once and without a packet.',
    why: 'The routing table of this machine has a route of the type `unreachable` that covers the address. VPN clients add one to keep traffic from leaving outside of the tunnel, routing daemons add one for networks that they announce, and Kubernetes networks add one for unassigned ranges.',
    now: 'Show it with `ip route show table all type unreachable`. Start the VPN or the daemon that owns it, or delete it: `ip route del unreachable NETWORK`.',
    prevent: 'Exclude the network of the target from the VPN, or give it a route of its own with a longer prefix.',
  },
  recognise: (question) => refusedByRoute(question, 'EHOSTUNREACH'),
  say: ({ address }) => `A route of this machine marks ${address} as unreachable`,
  remedies: (args, question) => removeRoute(args, 'unreachable', question),
  stages: refusingRoutes('unreachable', 'EHOSTUNREACH'),
});
