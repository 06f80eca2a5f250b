/**
 * Rules that send what comes for a port elsewhere before a server here gets it, as container engines without a process of their own on the port
 * write them (CNI portmap, docker without its proxy). Only root sees them.
 */
import { familyOf, isWildcard } from '../../../model/address.ts';
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Redirect, Settings } from '../../../model/facts.ts';
import type { ElsewhereListener } from '../../../model/reach/evidence.ts';
import { deviceName } from '../calls/sockaddr.ts';
import { readAddresses } from '../netlink/addresses.ts';
import { NetlinkError } from '../netlink/netlink.ts';
import { NETLINK_ROUTE } from '../netlink/netlink-socket.ts';
import { readWay } from '../netlink/routes.ts';
import type { Proc } from '../proc/proc.ts';
import { readElsewhere } from './elsewhere.ts';
import { chainsNow } from './firewall.ts';
import type { Packet } from './packet.ts';
import { askKernel } from './port-sockets.ts';
import { rulesMet } from './rule-walk.ts';

/** About 5 ms: `why` does not take longer for the tables of a large cluster. */
const mostRules = 1_000;

/** An address that is nobody's (RFC 5737, RFC 3849): the way there is the way of strangers. */
const strangers = { 4: '203.0.113.1', 6: '2001:db8::1' } as const;

export function readRedirects(proc: Proc, endpoint: InetEndpoint): Redirect[] {
  if (process.geteuid?.() !== 0 || endpoint.port === 0) return [];
  try {
    const chains = chainsNow(proc, mostRules);
    if (chains.length === 0) return [];
    const found = new Map<string, Redirect>();
    for (const { from, packet } of packetsFor(proc, endpoint))
      for (const { system, table, chain, text, verdict } of rulesMet(chains, [packet])) {
        const to = /(?:to|TO) (\S+)$/.exec(verdict)?.[1] ?? null;
        const isElsewhere = /^(?:dnat|redirect|tproxy)/i.test(verdict) && !isSame(to, endpoint);
        const known = found.get(`${table} ${chain} ${text}`);
        // What strangers meet is the worse of the two.
        if (isElsewhere && known === undefined)
          found.set(`${table} ${chain} ${text}`, { from, to, rule: text, system, table, chain, process: null });
      }
    return [...found.values()].map((redirect) => ({ ...redirect, process: processAt(proc, endpoint, redirect.to) }));
  } catch (error) {
    // A rule that does not read as the kernel writes them says nothing.
    if (error instanceof NetlinkError) return [];
    throw error;
  }
}

function packetsFor(
  proc: Proc,
  { protocol, address, port }: InetEndpoint,
): { readonly from: Redirect['from']; readonly packet: Packet }[] {
  const families = address === '::' ? ([4, 6] as const) : ([familyOf(address)] as const);
  const isLoopback = address.startsWith('127.') || address === '::1';
  const own = readAddresses(proc);
  return families.flatMap((family) => {
    const common = { family, protocol, isFirst: true, isLocal: true, from: { address: '', port: 0 } } as const;
    const loopback = family === 4 ? '127.0.0.1' : '::1';
    const here = isWildcard(address) ? loopback : address;
    const outside = isLoopback ? null : outsideOf(own, family, isWildcard(address) ? null : address);
    const fromHere: Packet = { ...common, hook: 'output', to: { address: here, port }, input: '', output: 'lo' };
    if (outside === null) return [{ from: 'here' as const, packet: fromHere }];
    const fromOutside: Packet = {
      ...common,
      hook: 'prerouting',
      to: { address: outside.address, port },
      input: outside.device,
      output: '',
    };
    return [
      { from: 'outside' as const, packet: fromOutside },
      { from: 'here' as const, packet: fromHere },
    ];
  });
}

/** The address that others reach this machine by, and the interface that they come in by. */
function outsideOf(
  own: Settings['localAddresses'],
  family: 4 | 6,
  wanted: string | null,
): { readonly address: string; readonly device: string } | null {
  if (wanted !== null) return own.find(({ address }) => address === wanted) ?? null;
  const way = askKernel(NETLINK_ROUTE, [], '', (kernel) =>
    readWay(kernel, { address: strangers[family], protocol: 'tcp', port: 80 }),
  );
  if (way !== null && !('errno' in way) && way.source !== null && way.deviceIndex !== null)
    return { address: way.source, device: deviceName(way.deviceIndex) };
  return own.find(({ address, device }) => familyOf(address) === family && device !== 'lo') ?? null;
}

function isSame(to: string | null, { address, port }: InetEndpoint): boolean {
  return to === `:${port}` || to === `${address}:${port}`;
}

/** Who listens where the rule leads: in the network namespace that has the address. */
function processAt(proc: Proc, { protocol, port }: InetEndpoint, to: string | null): Redirect['process'] {
  const [, target, number] = /^\[?([0-9a-f.:]+?)\]?(?::(\d+))?$/i.exec(to ?? '') ?? [];
  if (target === undefined) return null;
  const there = { protocol, address: target, port: number === undefined ? port : Number(number) };
  const listeners: readonly ElsewhereListener[] = readElsewhere(proc, there, []) ?? [];
  return listeners.find(({ addresses, otherUsers }) => !otherUsers && addresses.includes(target))?.process ?? null;
}
