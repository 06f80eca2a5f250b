/**
 * What can be seen of the way to an address before anything is sent. Any user may look at all of it.
 *
 * It does not see: the rules of a firewall (firewall.ts), programs attached to a cgroup, and Landlock, which forbids TCP alone (landlock(7)):
 * a TCP connect that is refused at once where this says that all is well was refused by one of them.
 */
import { familyOf } from '../../../model/address.ts';
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import type { Before, Link, Neighbour, Route } from '../../../model/reach/evidence.ts';
import { isNativeError, isUnsupportedError } from '../../errors.ts';
import { deviceName } from '../calls/sockaddr.ts';
import { sockets } from '../calls/socket.ts';
import { readAddresses } from '../netlink/addresses.ts';
import { readLink, readLinks } from '../netlink/links.ts';
import { readNeighbour } from '../netlink/neighbours.ts';
import type { Conversation } from '../netlink/netlink.ts';
import { NETLINK_ROUTE } from '../netlink/netlink-socket.ts';
import { readWay, type Way } from '../netlink/routes.ts';
import { descriptorsOf } from '../proc/condition.ts';
import { attempt, type Proc } from '../proc/proc.ts';
import { parseRange, parseRanges } from '../proc/settings.ts';
import { portsTowards } from './local-ports.ts';
import { plainLookup, plainRoute, plainSockets } from './plain.ts';
import { askKernel, portSockets, socketFor } from './port-sockets.ts';

/** The number of `lo` in every network namespace. */
const loopback = 1;

/** Asks for a member of a group by some port of a client, which nobody knows before the client has one. */
const someClient = 1;

export function readBefore(proc: Proc, to: InetEndpoint, gaps: Gap[]): Before {
  const dryRun = tryRun(to, gaps);
  const way = wayTo(to, gaps);
  const route = way?.route ?? plainRoute(proc, to);
  const found = portSockets(to, gaps) ?? plainSockets(proc, to);
  const isOurs = route?.type === 'local';
  const ipv6 = familyOf(to.address) === 6;
  return {
    dryRun,
    route,
    link: way?.link ?? null,
    downDevices: way?.downDevices ?? null,
    neighbour: way?.neighbour ?? null,
    // A tentative address has no local route yet.
    unusable: ipv6 ? (unusable(proc, to.address) ?? unusable(proc, way?.route.source ?? null)) : null,
    ipv6Disabled: ipv6 ? disabled(proc) : null,
    lookup: isOurs ? lookupOf(to, dryRun?.source ?? to.address, way?.deviceIndex ?? loopback, found, gaps) : null,
    sockets: found,
    localPorts: to.protocol === 'tcp' ? localPorts(proc, to, gaps) : null,
    descriptors: ownDescriptors(proc),
    tracked: tracked(proc),
  };
}

function lookupOf(
  to: InetEndpoint,
  source: string,
  deviceIndex: number,
  found: Before['sockets'],
  gaps: Gap[],
): Before['lookup'] {
  const from = { address: source, port: someClient };
  // What comes to an own IPv6 address has the interface of the address (ip6_rcv), of IPv4 that of loopback.
  const meeting = { protocol: to.protocol, from, to, deviceIndex: familyOf(to.address) === 6 ? deviceIndex : loopback };
  return socketFor(meeting, gaps) ?? (found === null ? null : plainLookup(to, found));
}

/** connect(2) of a UDP socket decides on the route, the source address and the sandbox, and sends nothing (ip4_datagram_connect). */
function tryRun(to: InetEndpoint, gaps: Gap[]): Before['dryRun'] {
  let fd: number;
  try {
    fd = sockets.open('udp', familyOf(to.address));
  } catch (error) {
    if (!isNativeError(error) && !isUnsupportedError(error)) throw error;
    gaps.push({
      what: `What the kernel says to a connection to ${to.address} could not be tried without one`,
      why: error.code,
      hint: isUnsupportedError(error)
        ? 'Install koffi with its binary for this platform'
        : 'No UDP socket can be made here: raise the limit of descriptors, or run it outside of the sandbox',
    });
    return null;
  }
  try {
    sockets.connect(fd, { ...to, protocol: 'udp' });
    const own = sockets.address(fd);
    return { errno: null, source: own.protocol === 'unix' ? null : own.address };
  } catch (error) {
    if (!isNativeError(error)) throw error;
    return { errno: error.code, source: null };
  } finally {
    sockets.close(fd);
  }
}

interface WayTo {
  readonly route: Route;
  readonly deviceIndex: number | null;
  readonly link: Link | null;
  readonly downDevices: readonly string[] | null;
  readonly neighbour: Neighbour | null;
}

function wayTo(to: InetEndpoint, gaps: Gap[]): WayTo | null {
  return askKernel(NETLINK_ROUTE, gaps, `The route to ${to.address} cannot be asked`, (kernel) => {
    const way = readWay(kernel, to);
    if ('errno' in way) {
      const route: Route = {
        errno: way.errno,
        type: null,
        device: null,
        gateway: null,
        source: null,
        prefix: null,
      };
      const down = readLinks(kernel).filter(({ up, loopback: isLoopback }) => !up && !isLoopback);
      return { route, deviceIndex: null, link: null, downDevices: down.map(({ name }) => name), neighbour: null };
    }
    const { deviceIndex } = way;
    const device = deviceIndex === null ? null : deviceName(deviceIndex);
    return {
      route: { errno: null, type: typeOf(way), device, gateway: way.gateway, source: way.source, prefix: way.prefix },
      deviceIndex,
      downDevices: null,
      link: deviceIndex === null ? null : linkOf(kernel, deviceIndex, way),
      neighbour: deviceIndex === null || way.type !== 'unicast' ? null : neighbourOf(kernel, to, way, deviceIndex),
    };
  });
}

function typeOf({ type }: Way): Route['type'] {
  const known = ['local', 'unicast', 'broadcast', 'multicast', 'anycast'] as const;
  return known.find((each) => each === type) ?? 'other';
}

function linkOf(kernel: Conversation, deviceIndex: number, way: Way): Link | null {
  const link = readLink(kernel, deviceIndex);
  if (link === null) return null;
  return { device: link.name, up: link.up, carrier: link.carrier, mtu: way.mtuBytes ?? link.mtuBytes, kind: link.kind };
}

function neighbourOf(kernel: Conversation, to: InetEndpoint, way: Way, deviceIndex: number): Neighbour | null {
  const address = way.gateway ?? to.address;
  const found = readNeighbour(kernel, address, deviceIndex);
  if (found === null) return { address, state: 'NONE', hardwareAddress: null };
  return { address, state: found.state, hardwareAddress: found.hardwareAddress };
}

function unusable(proc: Proc, address: string | null): Before['unusable'] {
  if (address === null) return null;
  const plain = (text: string): string => text.replace(/%.*$/, '');
  const own = readAddresses(proc).find((each) => plain(each.address) === plain(address));
  if (own?.tentative !== true) return null;
  return own.duplicate === true ? 'duplicate' : 'tentative';
}

function disabled(proc: Proc): boolean | null {
  const text = attempt(() => proc.text('sys/net/ipv6/conf/all/disable_ipv6').trim());
  // A kernel started with ipv6.disable=1 has no such folder, and refuses the socket.
  return text === null ? null : text === '1';
}

/** Only where so many sockets exist that the ports could be used up, because it takes a look at each of them. */
function localPorts(proc: Proc, to: InetEndpoint, gaps: Gap[]): Before['localPorts'] {
  const setting = (name: string): string => attempt(() => proc.text(`sys/net/ipv4/${name}`, 1_048_576).trim()) ?? '';
  const range = parseRange(setting('ip_local_port_range'));
  if (range === null) return null;
  const reserved = countIn(range, parseRanges(setting('ip_local_reserved_ports')));
  if (tcpSockets(proc) < range[1] - range[0] + 1 - reserved) return null;
  const used = portsTowards(to, range, gaps);
  return used === null ? null : { range, reserved, used };
}

/** Ports of the range in at least one of the others. */
function countIn([first, last]: readonly [number, number], others: readonly (readonly [number, number])[]): number {
  let count = 0;
  let from = first;
  for (const [low, high] of [...others].sort((a, b) => a[0] - b[0])) {
    const begin = Math.max(from, low);
    const end = Math.min(last, high);
    if (begin > end) continue;
    count += end - begin + 1;
    from = end + 1;
  }
  return count;
}

/** `TCP: inuse 7 orphan 0 tw 3 alloc 9 mem 1` (net/ipv4/proc.c, sockstat_seq_show), and the same of IPv6; without IPv6 there is no second file. */
function tcpSockets(proc: Proc): number {
  const text = attempt(() => proc.text('net/sockstat')) ?? '';
  const text6 = attempt(() => proc.text('net/sockstat6')) ?? '';
  const [, inUse = '0', left = '0'] = /^TCP: inuse (\d+) .*\btw (\d+)/m.exec(text) ?? [];
  return Number(inUse) + Number(left) + Number(/^TCP6: inuse (\d+)/m.exec(text6)?.[1] ?? 0);
}

function ownDescriptors(proc: Proc): Before['descriptors'] {
  const own = descriptorsOf(proc, 'self');
  return own === null || own.limit === null ? null : { open: own.open, limit: own.limit };
}

function tracked(proc: Proc): Before['tracked'] {
  const number = (name: string): number | null => {
    const text = attempt(() => proc.text(`sys/net/netfilter/${name}`).trim());
    return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
  };
  const [count, max] = [number('nf_conntrack_count'), number('nf_conntrack_max')];
  return count === null || max === null ? null : { count, max };
}
