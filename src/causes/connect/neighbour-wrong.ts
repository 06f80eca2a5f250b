import { addressCause } from './form.ts';
import { inetOf, isSilent, placeOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { change } from './shared/look.ts';

/** A permanent entry of the neighbour table names hardware that does not answer (ip-neighbour(8)). */
export default addressCause({
  id: 'neighbour-wrong',
  title: 'A permanent neighbour entry may point to the wrong hardware',
  on: ['linux'],
  at: 'network',
  page: {
    see: 'Nothing: the connect hangs. Other hosts of the same network can be reached.',
    why: 'The neighbour table of this machine has a permanent entry for the address, so the kernel never asks which hardware has it. The entry points to a network card that was replaced, or to nobody.',
    now: 'Compare the hardware address of `ip neigh show ADDRESS` with that of the host (`ip link` there). Delete the entry: `ip neigh del ADDRESS dev eth0`.',
    prevent: 'Add no permanent entries, or update them when hardware changes.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const neighbour = evidence?.before.neighbour;
    if (evidence == null || neighbour?.state !== 'PERMANENT' || !isSilent(evidence)) return null;
    // A router behind it would have answered the walk.
    if (evidence.hops?.some(({ from }) => from !== null) === true) return null;
    return {
      endpoint: placeOf(evidence),
      address: neighbour.address,
      hardware: neighbour.hardwareAddress,
      device: evidence.before.route?.device ?? null,
    };
  },
  say: ({ endpoint, address, hardware }) =>
    `${endpoint} does not answer, and a permanent neighbour entry sends its packets to ${hardware ?? 'fixed hardware'}${endpoint.includes(address) ? '' : ` (${address})`}`,
  remedies: ({ address, device }, question) => [
    change(
      'change-network',
      'If that is not the hardware of the host, delete the entry, so that the kernel asks for it',
      question.advice.network?.forgetNeighbour(address, device),
    ),
  ],
  stages: [
    {
      title: 'a permanent neighbour entry has a hardware address that nobody has',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'a permanent neighbour entry of the client gives 10.50.1.79 hardware that nobody has',
          ({ client }) =>
            client.shell('ip neigh replace 10.50.1.79 lladdr 02:00:00:00:00:99 dev to-router nud permanent'),
          { host: '10.50.1.79' },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['change-network'] },
    },
  ],
});
