import { addressCause } from './form.ts';
import { refusedByRoute, refusingRoutes, removeRoute } from './shared/refusing-route.ts';

/** A route of the type blackhole (ip-route(8)). */
export default addressCause({
  id: 'route-blackhole',
  title: 'A blackhole route of this machine covers the address',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`EINVAL`, "Invalid argument", from a connect whose arguments are right. No packet is sent.',
    why: 'The routing table of this machine has a route of the type `blackhole` that covers the address. Routing daemons, DDoS protection and some VPN clients add them. Linux reports it to local programs as EINVAL; forwarded packets disappear without a word.',
    now: 'Show it with `ip route show table all type blackhole`, and delete it: `ip route del blackhole NETWORK`.',
    prevent: 'Give the target a route of its own with a longer prefix.',
  },
  recognise: (question) => refusedByRoute(question, 'EINVAL'),
  say: ({ address }) => `A blackhole route of this machine covers ${address}`,
  remedies: (args, question) => removeRoute(args, 'blackhole', question),
  stages: refusingRoutes('blackhole', 'EINVAL'),
});
