/**
 * Hosts of a stage: network namespaces of their own, joined by pairs of veth(4) devices. Each is kept by a process that reads
 * from its stage and leaves when the stage ends or dies, so that no namespace, device or rule can stay behind.
 */
import { spawn } from 'node:child_process';
import { addresses } from './addresses.ts';
import { fillConntrack } from './conntrack.ts';
import { findProgram } from './needs.ts';
import { endOf, lineOf, type PlaceOwner, placeOf } from './place.ts';
import type { Host, HostAddresses, Network } from './stage.ts';

/** A host with nothing but its loopback device. */
export async function openHost(owner: PlaceOwner, written: { count: number }): Promise<Host> {
  const keeper = spawn('unshare', ['--net', 'sh', '-c', 'echo ready; exec cat'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  owner.defer(endOf(keeper));
  await lineOf(keeper, /^ready$/m);
  const pid = keeper.pid ?? 0;
  const enter = [findProgram('nsenter') ?? 'nsenter', `--net=/proc/${pid}/ns/net`, '--'];
  const place = placeOf(enter, owner, written);
  // Without duplicate address detection an address can be used at once (accept_dad of the kernel's ip-sysctl.rst).
  await place.shell('echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad', 'ip link set lo up');
  return {
    ...place,
    keeper: pid,
    nft: async (ruleset) => {
      await place.run(['nft', ruleset]);
    },
    fillConntrack: () => fillConntrack(owner, place.run),
    setting: async (name, value) => {
      await place.shell(`echo '${value}' >/proc/sys/net/${name.replaceAll('.', '/')}`);
    },
  };
}

/** Three hosts: a client, a router that forwards, and a server, with IPv4 and IPv6 and a default route by way of the router. */
export async function openNetwork(owner: PlaceOwner, written: { count: number }): Promise<Network> {
  const [client, router, server] = await Promise.all([
    openHost(owner, written),
    openHost(owner, written),
    openHost(owner, written),
  ]);
  // The names of the devices are those of the hosts at their other ends.
  await client.run([
    'ip',
    'link',
    'add',
    'to-router',
    'type',
    'veth',
    'peer',
    'name',
    'to-client',
    'netns',
    `${router.keeper}`,
  ]);
  await server.run([
    'ip',
    'link',
    'add',
    'to-router',
    'type',
    'veth',
    'peer',
    'name',
    'to-server',
    'netns',
    `${router.keeper}`,
  ]);
  await Promise.all([
    router.shell(
      ...raised('to-client', addresses.routerToClient),
      ...raised('to-server', addresses.routerToServer),
      'echo 1 >/proc/sys/net/ipv4/ip_forward',
      'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding',
      // Every refusal is sent, not one a second; the stages of the limit set it again.
      'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit',
      'echo 0 >/proc/sys/net/ipv6/icmp/ratelimit',
    ),
    client.shell(...raised('to-router', addresses.client), ...defaultRoute(addresses.routerToClient)),
    server.shell(
      ...raised('to-router', addresses.server),
      ...defaultRoute(addresses.routerToServer),
      'echo 0 >/proc/sys/net/ipv4/icmp_ratelimit',
      'echo 0 >/proc/sys/net/ipv6/icmp/ratelimit',
    ),
  ]);
  return { client, router, server, addresses };
}

/** Gives a device its addresses and raises it. */
function raised(device: string, { ipv4, ipv6 }: HostAddresses): string[] {
  return [
    `ip addr add ${ipv4}/24 dev ${device}`,
    `ip -6 addr add ${ipv6}/64 dev ${device} nodad`,
    `ip link set ${device} up`,
  ];
}

export function defaultRoute({ ipv4, ipv6 }: HostAddresses): string[] {
  return [`ip route add default via ${ipv4}`, `ip -6 route add default via ${ipv6}`];
}
