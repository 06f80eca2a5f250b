import { addressCause } from './form.ts';
import { inetOf, isForeignBridge, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** A bridge of a container engine has a network that overlaps with that of the target. */
export default addressCause({
  id: 'route-overlap',
  title: 'A bridge of this machine has the same network as the target',
  on: ['linux'],
  at: 'route',
  page: {
    see: '`EHOSTUNREACH` after three seconds from this machine, or `ECONNREFUSED`, while other machines reach the target.',
    why: 'A container engine chose a network for a bridge (`docker0`, `br-…`, `cni0`, `virbr0`) that is also used elsewhere: in the office, in the cloud or behind a VPN. This machine looks for the target on the bridge, where no host or another host has the address.',
    now: '`ip route get ADDRESS` names the bridge. Remove the network (`docker network rm NAME`), or create it again with another subnet.',
    prevent: 'Set `default-address-pools` in /etc/docker/daemon.json to networks that nobody else uses.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || !isForeignBridge(evidence)) return null;
    return {
      endpoint: placeOf(evidence),
      address: evidence.endpoint.address,
      device: evidence.before.link?.device ?? '',
    };
  },
  say: ({ address, device }) =>
    `This machine looks for ${address} on its bridge ${device}, where no host has the address`,
  remedies: ({ device }, question) => [
    change(
      'change-network',
      `If the target is not a container of this machine, give the network of ${device} another subnet`,
      question.advice.network?.device(device),
    ),
  ],
  stages: [
    {
      title: 'a bridge of the client has the network of the server',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'a bridge of the client has the network 10.50.2.0/24, in which the server is', ({ client }) =>
          client.shell(
            'ip link add br-shop type bridge',
            'ip addr add 10.50.2.1/24 dev br-shop',
            'ip link set br-shop up',
            // A bridge has a carrier as soon as one of its ports has one.
            'ip link add port0 type veth peer name end0',
            'ip link set port0 master br-shop up',
            'ip link set end0 up',
          ),
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH', remedies: ['change-network'] },
    },
  ],
});
