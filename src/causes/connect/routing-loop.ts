import { addressCause } from './form.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';
import { isTimeExceeded, refusedElsewhere } from './shared/refused-elsewhere.ts';

/** A packet with the usual time to live was forwarded until that ran out. */
export default addressCause({
  id: 'routing-loop',
  title: 'Routers send the packets in a circle',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`EHOSTUNREACH`, "No route to host", at once, for an address of another network.',
    why: 'Two or more routers each believe that the other one leads to the address, so that a packet goes back and forth until its time to live ends. The router that discards it reports that (ICMP "time exceeded").',
    now: '`tracepath ADDRESS` shows the routers that repeat. Remove the wrong route from one of them.',
    prevent:
      'Give a router that announces a network a blackhole route for it, so that unused parts do not follow the default route back.',
  },
  recognise(question) {
    const refused = refusedElsewhere(question);
    if (refused === null || !isTimeExceeded(refused.refusal)) return null;
    const { endpoint, address, from } = refused;
    return { endpoint, address, from };
  },
  say: ({ address, from }) =>
    `Routers send packets to ${address} in a circle: ${from} discards them when their time to live ends`,
  remedies: ({ address, from }) => [
    change('change-network', `Correct the route to ${address} on ${from}, or on the router next to it`, null, {
      router: from,
    }),
  ],
  stages: [
    {
      title: 'the router and the server each send the packets to the other one',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the router sends packets to 10.88.0.0/16 to the server, which sends them back',
          async ({ router, server, addresses }) => {
            await router.shell(`ip route add 10.88.0.0/16 via ${addresses.server.ipv4}`);
            await server.setting('ipv4.ip_forward', '1');
          },
          { host: '10.88.1.1' },
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH', remedies: ['change-network'] },
    },
  ],
});
