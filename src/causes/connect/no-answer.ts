import { addressCause } from './form.ts';
import { inetOf, isLostHere, isSilent, mutedGateway, placeOf } from './shared/attempts.ts';
import { across, chain } from './shared/hosts.ts';
import { look } from './shared/look.ts';

/** Silence from another host, after two attempts. The walk with growing time to live says how far packets come. */
export default addressCause({
  id: 'no-answer',
  title: 'The other host does not answer',
  on: ['linux'],
  at: 'network',
  page: {
    see: '`ETIMEDOUT` after more than two minutes, or the timeout of the client before that. `fetch` of Node gives up after ten seconds.',
    why: 'Nothing came back, not even a refusal. A firewall on the way or on the host drops the packets, the host is off and its router does not say so, or the answers are lost: the host has no route back, or its own reverse path filtering drops what arrives. From here these cannot be told apart. The last router that answers is where to look next.',
    now: 'Run `rebind reach PORT` on the other host, and look at the firewalls behind the router that is named. A security group of a cloud provider is such a firewall.',
    prevent: 'Inside your own networks, let firewalls reject packets instead of dropping them.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || evidence.ours === true || !isSilent(evidence) || evidence.protocol === 'udp') return null;
    if (isLostHere(evidence) || mutedGateway(evidence) !== null) return null;
    if (evidence.before.neighbour?.state === 'PERMANENT' || evidence.before.unusable !== null) return null;
    const last = evidence.hops?.findLast(({ from }) => from !== null) ?? null;
    const { address, port } = evidence.endpoint;
    return {
      endpoint: placeOf(evidence),
      address,
      port,
      hop: last?.ttl ?? null,
      router: last === null || last.from === address ? null : last.from,
    };
  },
  say: ({ endpoint, hop, router }) =>
    router === null
      ? `${endpoint} does not answer, and no router on the way reports why`
      : `${endpoint} does not answer; the last router that does is ${router} (hop ${hop})`,
  remedies: ({ address, port, router }) => [
    look(
      router === null
        ? `Check that ${address} is right and that the host is on, then look at the firewalls on the way`
        : `Look at the firewalls from ${router} on, and at that of ${address}`,
      null,
    ),
    look(
      `Run "rebind reach" on ${address}: it shows whether its own firewall or server drops the packets`,
      `rebind reach ${port}`,
    ),
  ],
  stages: [
    ...[false, true].map((ipv6) => ({
      title: `the firewall of the server drops packets over ${ipv6 ? 'IPv6' : 'IPv4'}`,
      needs: ['network'] as const,
      stage: (stage: Parameters<typeof across>[0]) =>
        across(
          stage,
          'the firewall of the server drops packets to port PORT',
          ({ server }, port) => server.nft(chain('input', `tcp dport ${port} drop`)),
          { ipv6 },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['investigate', 'investigate'] as const },
    })),
    {
      title: 'a router drops packets',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'the router drops packets to port PORT', ({ router }, port) =>
          router.nft(chain('forward', `tcp dport ${port} drop`)),
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
    {
      title: 'the server has no route back to the client',
      needs: ['network'],
      stage: (stage) =>
        across(stage, 'the server has lost its default route', async ({ server }, port) => {
          const socket = await (await server.actor('server')).open();
          await socket.bind('0.0.0.0', port);
          await socket.listen();
          await server.shell('ip route del default');
        }),
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
    {
      title: 'the server drops what arrives by reverse path filtering',
      needs: ['network'],
      stage: (stage) =>
        across(
          stage,
          'the route of the server to the client leaves by another interface, with strict reverse path filtering',
          async ({ server }, port) => {
            const socket = await (await server.actor('server')).open();
            await socket.bind('0.0.0.0', port);
            await socket.listen();
            await server.shell(
              'ip link add wire type veth peer name end',
              'ip addr add 10.60.0.1/24 dev wire',
              'ip link set wire up',
              'ip link set end up',
              'ip route add 10.50.1.0/24 via 10.60.0.2',
              'echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter',
            );
          },
        ),
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
  ],
});
