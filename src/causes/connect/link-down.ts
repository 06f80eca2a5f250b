import { list } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** A device is down, and its routes went with it (ip-link(8)). */
export default addressCause({
  id: 'link-down',
  title: 'The network interface is down',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`ENETUNREACH`, "Network is unreachable", at once, for every address behind the interface.',
    why: 'The interface was set down, or was never raised. The kernel removes the routes of an interface that goes down, and does not bring them back when it is raised.',
    now: '`ip -br link` shows which interface is DOWN. Raise it, `ip link set eth0 up`, and restore its routes: the network manager does that (`nmcli device connect eth0`, `networkctl reconfigure eth0`, `ifup eth0`).',
    prevent: 'Let one program manage the interface.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null) return null;
    const { route, downDevices } = evidence.before;
    if (route?.errno !== 'ENETUNREACH' || downDevices === null || downDevices.length === 0) return null;
    return { endpoint: placeOf(evidence), address: evidence.endpoint.address, devices: downDevices };
  },
  say: ({ address, devices }) =>
    `This machine has no route to ${address}, and its network interface ${list(devices)} is down`,
  remedies: ({ devices }, question) => [
    change(
      'change-network',
      `Raise ${list(devices)} by its network manager, which restores the routes`,
      question.advice.network?.raise(devices[0] ?? ''),
    ),
  ],
  stages: [
    {
      title: 'the interface of the client was set down',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'the only interface of the client is down', ({ client }) =>
          client.shell('ip link set to-router down'),
        ),
      expect: { reachable: false, errno: 'ENETUNREACH', remedies: ['change-network'] },
    },
  ],
});
