import { addressCause } from './form.ts';
import { inetOf, isForeignBridge, isLate, isOwn, lastErrno, placeOf, refusalOf } from './shared/attempts.ts';
import { across } from './shared/hosts.ts';
import { look } from './shared/look.ts';

/** The next hop does not answer ARP or neighbour discovery: the kernel reports EHOSTUNREACH to its own sockets after three tries, about 3 s (arp(7)). */
export default addressCause({
  id: 'neighbour-dead',
  title: 'No host on this network answers for the address',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`EHOSTUNREACH`, "No route to host", after three seconds. There is a route: the message is misleading.',
    why: 'The address belongs to a network that this machine is directly connected to. It asked three times which host has the address (ARP, or neighbour discovery for IPv6), and nobody answered. The host is off, has another address, or the prefix length of this machine is wrong, so that it looks for a distant host on its own network.',
    now: 'Check whether the host is on, and whether the address is right. `ip neigh show ADDRESS` shows FAILED. `ip route get ADDRESS` shows the interface on which it was looked for.',
    prevent: 'Set short connect timeouts in clients: three seconds pass before the kernel knows.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || evidence.ours === true) return null;
    const { neighbour, route, link } = evidence.before;
    if (lastErrno(evidence) !== 'EHOSTUNREACH') return null;
    // Then it is the device, or its network.
    if (link?.carrier === false || isForeignBridge(evidence)) return null;
    const refusal = refusalOf(evidence);
    // An own sender, and no firewall: the kernel reports the dead neighbour only after its three tries.
    if (refusal === null ? neighbour?.state !== 'FAILED' : !(isOwn(evidence, refusal.from) && isLate(evidence)))
      return null;
    const hop = route?.gateway ?? null;
    return {
      endpoint: placeOf(evidence),
      address: evidence.endpoint.address,
      gateway: hop,
      device: route?.device ?? null,
    };
  },
  say: ({ address, gateway, device }) =>
    gateway === null
      ? `No host answers for ${address} on the network of ${device ?? 'this machine'}`
      : `The gateway ${gateway}, which leads to ${address}, does not answer on ${device ?? 'its network'}`,
  remedies: ({ address, gateway }, question) => [
    look(
      gateway === null
        ? `Check that the host is on and that ${address} is its address; this shows what this machine knows of it`
        : `Check that the gateway is on and that ${gateway} is its address; this shows what this machine knows of it`,
      question.advice.network?.neighbour(gateway ?? address),
    ),
  ],
  stages: [
    ...(['10.50.1.77', 'fd50:1::77'] as const).map((host) => ({
      title: `nobody on the network of the client has ${host}`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof across>[0]) =>
        across(stage, `nobody on the network of the client has ${host}`, async () => {}, { host }),
      expect: { reachable: false, errno: 'EHOSTUNREACH', remedies: ['investigate'] as const },
    })),
    {
      title: 'the gateway of the client does not exist',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'the default route of the client leads to 10.50.1.99, which nobody has', ({ client }) =>
          client.shell('ip route replace default via 10.50.1.99'),
        ),
      expect: { reachable: false, errno: 'EHOSTUNREACH', remedies: ['investigate'] },
    },
  ],
});
