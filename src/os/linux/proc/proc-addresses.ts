/**
 * The addresses of this machine as /proc/net shows them, where netlink is forbidden.
 */
import { formatIpv6 } from '../../../model/address.ts';
import type { Settings } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { attempt, type Proc } from './proc.ts';

export type LocalAddress = Settings['localAddresses'][number];

const IFA_F_OPTIMISTIC = 0x04;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;
const tableLimit = 4_194_304;

/** net/ipv6/addrconf.c, __ipv6_chk_addr_and_flags: an optimistic address may be used before it is approved. */
export function standingOf(flags: number): Pick<LocalAddress, 'tentative' | 'duplicate'> {
  const isTentative = (flags & IFA_F_TENTATIVE) !== 0 && (flags & IFA_F_OPTIMISTIC) === 0;
  if (!isTentative) return {};
  return (flags & IFA_F_DADFAILED) === 0 ? { tentative: true } : { tentative: true, duplicate: true };
}

/** fe80::/10. */
export function isLinkLocal(address: string): boolean {
  return /^fe[89ab][0-9a-f]:/.test(address);
}

/** What cannot be read is left out. */
export function readProcAddresses(proc: Proc): LocalAddress[] {
  const text = (name: string): string => attempt(() => proc.text(`net/${name}`, tableLimit)) ?? '';
  return [...parseFibTrie(text('fib_trie'), parseRoutes(text('route'))), ...parseIfInet6(text('if_inet6'))];
}

interface Route {
  readonly device: string;
  readonly network: number;
  readonly mask: number;
}

/** `|-- 127.0.0.1` with `/32 host LOCAL` below it (net/ipv4/fib_trie.c, fib_trie_seq_show). It names no device: the route to the address does. */
export function parseFibTrie(text: string, routes: readonly Route[]): LocalAddress[] {
  const found = new Set<string>();
  let last = '';
  for (const line of text.split('\n')) {
    const leaf = /^ *\|-- (\d+\.\d+\.\d+\.\d+)$/.exec(line)?.[1];
    if (leaf !== undefined) last = leaf;
    else if (line.includes('/32 host LOCAL') && last !== '') found.add(last);
  }
  return [...found].map((address) => ({ address, device: deviceOf(address, routes) }));
}

function deviceOf(address: string, routes: readonly Route[]): string {
  if (address.startsWith('127.')) return 'lo';
  const number = address.split('.').reduce((sum, part) => (sum << 8) | Number(part), 0);
  const fitting = routes.filter(({ network, mask }) => (number & mask) === network);
  fitting.sort((a, b) => (b.mask >>> 0) - (a.mask >>> 0));
  return fitting[0]?.device ?? '';
}

/** `eth0\t0002A8C0\t…`: device, destination, gateway, flags, three counts, mask (net/ipv4/fib_trie.c, fib_route_seq_show). */
export function parseRoutes(text: string): Route[] {
  const routes: Route[] = [];
  for (const line of text.split('\n').slice(1)) {
    const [device = '', network = '', , , , , , mask = ''] = line.split(/\s+/);
    if (/^[0-9A-F]{8}$/.test(network) && /^[0-9A-F]{8}$/.test(mask))
      routes.push({ device, network: wordOf(network), mask: wordOf(mask) });
  }
  return routes;
}

/** A word of the network's byte order, printed in that of the machine. */
function wordOf(hex: string): number {
  const bytes = Buffer.from(hex, 'hex');
  return littleEndian ? bytes.readInt32LE() : bytes.readInt32BE();
}

/** `fe80…0001 02 40 20 80 eth0`: address, index, prefix length, scope, flags, device (net/ipv6/addrconf.c, if6_seq_show). */
export function parseIfInet6(text: string): LocalAddress[] {
  return text.split('\n').flatMap((line) => {
    const [, hex, flags = '0', device] =
      /^([0-9a-f]{32}) [0-9a-f]+ [0-9a-f]+ [0-9a-f]+ ([0-9a-f]+) +(\S+)$/.exec(line) ?? [];
    if (hex === undefined || device === undefined) return [];
    const plain = formatIpv6(
      Array.from({ length: 8 }, (_, index) => Number.parseInt(hex.slice(4 * index, 4 * index + 4), 16)),
    );
    const address = isLinkLocal(plain) ? `${plain}%${device}` : plain;
    return [{ address, device, ...standingOf(Number.parseInt(flags, 16)) }];
  });
}
