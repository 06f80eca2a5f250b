import { addressCause } from './form.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';
import { isNoRoute, refusedElsewhere } from './shared/refused-elsewhere.ts';

/** A router has no route to the destination (ICMP code 0). */
export default addressCause({
  id: 'router-no-route',
  title: 'A router on the way has no route to the address',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`ENETUNREACH`, "Network is unreachable", a moment after the connect, although this machine has a route.',
    why: 'This machine sent the packet to its gateway, and a router on the way knows no route to the address. The address is wrong, belongs to a private network that is not connected, or the route of a VPN is missing on the router.',
    now: 'Check the address. Add the route on the router that is named, or connect the VPN.',
    prevent: 'Check routes from both sides when networks are joined.',
  },
  recognise(question) {
    const refused = refusedElsewhere(question);
    if (refused === null || refused.from === refused.address || !isNoRoute(refused.refusal)) return null;
    const { endpoint, address, from, errno } = refused;
    return { endpoint, address, from, errno };
  },
  say: ({ address, from }) => `${from}, a router on the way, has no route to ${address}`,
  remedies: ({ address, from }) => [
    change('change-network', `Check that ${address} is right, and add a route to it on ${from}`, null, {
      router: from,
    }),
  ],
  stages: (
    [
      ['10.77.1.1', 'ENETUNREACH'],
      ['fd77::1', 'ENETUNREACH'],
    ] as const
  ).map(([host, errno]) => ({
    title: `the gateway of the client has no route to ${host}`,
    needs: ['network'],
    stage: (stage) => across(stage, `the router has no route to ${host}`, async () => {}, { host }),
    expect: { reachable: false, errno, remedies: ['change-network'] },
  })),
});
