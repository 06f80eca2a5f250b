import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** The device of the route is up and has no carrier (IFF_LOWER_UP, netdevice(7)). */
export default addressCause({
  id: 'no-carrier',
  title: 'The network interface has no carrier',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`EHOSTUNREACH`, "No route to host", after three seconds, for every address behind the interface.',
    why: 'The interface is up, but nothing is connected to it: a cable that is out, a switch that is off, a virtual interface whose other end is down. The route stays, so packets wait for an answer that cannot come.',
    now: '`ip -br link` shows NO-CARRIER. Connect the cable, or raise the other end.',
    prevent: 'The setting `net.ipv4.conf.all.ignore_routes_with_linkdown=1` makes such a connect fail at once.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null) return null;
    const { link, route } = evidence.before;
    if (link === null || link.carrier !== false || !link.up || route?.type === 'local') return null;
    if (evidence.attempt !== null && evidence.attempt.errno === null) return null;
    return { endpoint: placeOf(evidence), address: evidence.endpoint.address, device: link.device };
  },
  say: ({ address, device }) => `The network interface ${device}, which leads to ${address}, has no carrier`,
  remedies: ({ device }, question) => [
    change(
      'change-network',
      `Connect the cable of ${device}, or raise its other end`,
      question.advice.network?.device(device),
    ),
  ],
  stages: [
    {
      title: 'the other end of the link to the router is down',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'the other end of the link of the client is down', ({ router }) =>
          router.shell('ip link set to-client down'),
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH', remedies: ['change-network'] },
    },
  ],
});
