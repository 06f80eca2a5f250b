/**
 * What the kernel and the files of this machine say of the way to an address.
 */
import { readFileSync } from 'node:fs';
import { isIpv4, isIpv6 } from '../../src/model/address.ts';
import { parseTarget } from '../../src/model/reach/target.ts';
import { isNativeError } from '../../src/os/errors.ts';
import { decodeRefusals } from '../../src/os/linux/calls/error-queue.ts';
import { decodeEntries } from '../../src/os/linux/calls/legacy-rules.ts';
import { decodeAnswerer } from '../../src/os/linux/netlink/conntrack.ts';
import { decodeLink } from '../../src/os/linux/netlink/links.ts';
import { decodeMeasured } from '../../src/os/linux/netlink/measured.ts';
import { decodeNeighbour } from '../../src/os/linux/netlink/neighbours.ts';
import { NetlinkError } from '../../src/os/linux/netlink/netlink.ts';
import { decodeChain, decodeElements, decodeRule } from '../../src/os/linux/netlink/nftables.ts';
import { decodeWay } from '../../src/os/linux/netlink/routes.ts';
import { freezerMount, freezerPath, limitOf, schedTimes, tickTimes } from '../../src/os/linux/proc/condition.ts';
import { growthOf, parseList, parsePairs, parseProcessors } from '../../src/os/linux/proc/counters.ts';
import { legacyChains } from '../../src/os/linux/reach/legacy-tables.ts';
import { parseHosts, parseResolv } from '../../src/os/linux/reach/names.ts';
import { nftRule } from '../../src/os/linux/reach/nft-rule.ts';
import type { Packet } from '../../src/os/linux/reach/packet.ts';
import { rulesMet } from '../../src/os/linux/reach/rule-walk.ts';
import { damagedText } from './mutate.ts';
import { must, ofBytes, ofText, type Parser, parser } from './parser.ts';
import { cgroups, mountinfo, recorded } from './samples.ts';

/** Bodies of netlink answers, in hexadecimal, from a real kernel. */
interface Recorded {
  readonly routes: Readonly<Record<string, readonly string[]>>;
  readonly links: readonly string[];
  readonly neighbours: readonly string[];
  readonly sockets: readonly string[];
  readonly firewall: Readonly<Record<'rules' | 'chains' | 'elements' | 'tracked' | 'legacy', readonly string[]>>;
}
const kernel = JSON.parse(
  readFileSync(new URL('../../../test/fixtures/reach-6.18.44-x64.json', import.meta.url), 'utf8'),
) as Recorded;

const bytesOf = (all: readonly string[]): Buffer[] => all.map((hex) => Buffer.from(hex, 'hex'));
const mostDatagram = 65_536;
const mostFile = 65_536;
const isKernels = (error: unknown): boolean => isNativeError(error) || error instanceof NetlinkError;
const isAddress = (text: string | null): boolean => text === null || isIpv4(text) || isIpv6(text);

/** Control messages with a refusal: of IPv4 by 127.0.0.1, of IPv6 by ::1. */
const refusals = [
  '300000000000000000000000' +
    '0b000000' +
    '6f00000002030300' +
    '0000000000000000' +
    '020000007f0000010000000000000000',
  '3c0000000000000029000000' +
    '19000000' +
    '7100000003010300' +
    '0000000000000000' +
    '0a0000000000000000000000000000000000000000000001' +
    '0000000000000000',
];

const pairs = [
  'Ip: Forwarding DefaultTTL InReceives OutTransmits\nIp: 2 64 2079 2080\nTcp: RtoAlgorithm MaxConn OutRsts\nTcp: 1 -1 7\n',
  'TcpExt: SyncookiesSent ListenOverflows ListenDrops\nTcpExt: 0 1 18446744073709551615\n',
];
const list =
  'Ip6InReceives                   \t12\nIcmp6OutDestUnreachs            \t0\nUdp6NoPorts                     \t1\n';
const conntrack =
  'entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop\n00000007  00000000 00000000 00000000 00000002 00000000 00000000 00000000 00000000 00000000 fffffffe 00000000\n00000007  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000003 00000000\n';
const limits =
  'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 1048576              files     \n';

const areCounts = (counts: ReadonlyMap<string, string>): void => {
  for (const [name, digits] of counts) must(/^\d{1,20}$/.test(digits), `counts ${name} as ${digits}`);
};

const packet: Packet = {
  hook: 'input',
  family: 4,
  protocol: 'tcp',
  from: { address: '127.0.0.1', port: 40_000 },
  to: { address: '127.0.0.1', port: 3_000 },
  input: 'lo',
  output: '',
  isFirst: true,
  isLocal: true,
};

export const reachParsers: readonly Parser[] = [
  ofText(
    'model/reach/target.ts parseTarget',
    [
      '3000',
      'db.internal:5432',
      '[::1]:80',
      'https://example.org:8443/a?b',
      'udp/host:53',
      './app.sock',
      'unix:/run/a',
    ],
    parseTarget,
    {
      throws: (error) => error instanceof RangeError,
      most: 4_096,
      holds: ({ target }) =>
        must(target.protocol === 'unix' || (target.port >= 0 && target.port <= 65_535), 'has no port'),
    },
  ),
  ofBytes('os/linux/netlink/routes.ts decodeWay', bytesOf(Object.values(kernel.routes).flat()), decodeWay, {
    throws: isKernels,
    most: mostDatagram,
    holds: ({ gateway, source, prefix }) => {
      must(isAddress(gateway) && isAddress(source), `goes over ${gateway} from ${source}`);
      must(prefix === null || isAddress(prefix.replace(/\/\d+$/, '')), `has the prefix ${prefix}`);
    },
  }),
  ofBytes('os/linux/netlink/links.ts decodeLink', bytesOf(kernel.links), decodeLink, {
    throws: isKernels,
    most: mostDatagram,
  }),
  ofBytes('os/linux/netlink/neighbours.ts decodeNeighbour', bytesOf(kernel.neighbours), decodeNeighbour, {
    throws: isKernels,
    most: mostDatagram,
    holds: (row) => must(row === null || isAddress(row.address), `is ${row?.address}`),
  }),
  ...(['tcp', 'udp'] as const).map((protocol) =>
    ofBytes(
      `os/linux/netlink/measured.ts decodeMeasured of ${protocol}`,
      bytesOf(kernel.sockets),
      (body) => decodeMeasured(body, protocol),
      {
        throws: isKernels,
        most: mostDatagram,
        holds: ({ receiveQueue, drops }) => must(receiveQueue >= 0 && (drops ?? 0) >= 0, 'counts below nothing'),
      },
    ),
  ),
  ofBytes('os/linux/calls/error-queue.ts decodeRefusals', bytesOf(refusals), decodeRefusals, {
    most: 4_096,
    holds: (all) => {
      for (const { errno, from } of all) must(/^E|^errno /.test(errno) && isAddress(from), `says ${errno} of ${from}`);
    },
  }),
  ofBytes('os/linux/netlink/nftables.ts decodeChain', bytesOf(kernel.firewall.chains), decodeChain, {
    throws: isKernels,
    most: mostDatagram,
  }),
  ofBytes('os/linux/netlink/nftables.ts decodeElements', bytesOf(kernel.firewall.elements), decodeElements, {
    throws: isKernels,
    most: mostDatagram,
  }),
  ofBytes(
    'os/linux/netlink/nftables.ts decodeRule and what it says to a packet',
    bytesOf(kernel.firewall.rules),
    (bytes) => {
      const rule = decodeRule(bytes);
      if (rule === null) return null;
      const elements = bytesOf(kernel.firewall.elements).flatMap(decodeElements);
      const { fits, text, verdict } = nftRule(rule, () => elements, null);
      return { fits: fits(packet), text, verdict: verdict(packet) };
    },
    { throws: isKernels, most: mostDatagram },
  ),
  ofBytes('os/linux/netlink/conntrack.ts decodeAnswerer', bytesOf(kernel.firewall.tracked), decodeAnswerer, {
    throws: isKernels,
    most: mostDatagram,
    holds: (found) => must(found === null || isAddress(found.address), `is ${found?.address}`),
  }),
  ...([4, 6] as const).map((family) =>
    ofBytes(
      `os/linux/calls/legacy-rules.ts decodeEntries of IPv${family} and what they say to a packet`,
      bytesOf(kernel.firewall.legacy),
      (bytes) => {
        const entries = decodeEntries(bytes, family);
        const hooks = [0, 1, 2, 3, 4].map((hook) => ({ first: entries[hook]?.at ?? 0, policy: entries[4]?.at ?? 0 }));
        return rulesMet(legacyChains([{ family, name: 'filter', hooks, entries }], []), [packet]);
      },
      { most: mostDatagram },
    ),
  ),
  ofText('os/linux/proc/counters.ts parsePairs', pairs, (text) => parsePairs(text), {
    most: mostFile,
    holds: areCounts,
  }),
  ofText('os/linux/proc/counters.ts parseList', [list], (text) => parseList(text), {
    most: mostFile,
    holds: areCounts,
  }),
  ofText('os/linux/proc/counters.ts parseProcessors', [conntrack], (text) => parseProcessors(text, 'Conntrack'), {
    most: mostFile,
    holds: areCounts,
  }),
  parser(
    'os/linux/proc/counters.ts growthOf',
    (random) => [0, 1].map(() => parsePairs(damagedText(random, pairs, mostFile))),
    ([before = new Map(), after = new Map()]) => growthOf(before, after),
    {
      holds: (grown) => {
        for (const [name, growth] of Object.entries(grown)) must(growth >= 0, `says that ${name} grew by ${growth}`);
      },
    },
  ),
  ofText('os/linux/proc/condition.ts freezerPath', cgroups, freezerPath, { most: mostFile }),
  ofText('os/linux/proc/condition.ts freezerMount', mountinfo, freezerMount, { most: 4_194_304 }),
  ofText('os/linux/proc/condition.ts limitOf', [limits], limitOf, { most: mostFile }),
  ofText('os/linux/proc/condition.ts schedTimes', ['1234567890 987654 321\n'], schedTimes, { most: mostFile }),
  ofText('os/linux/proc/condition.ts tickTimes', recorded('/stat'), tickTimes, { most: mostFile }),
  ofText(
    'os/linux/reach/names.ts parseHosts',
    ['127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # here\n10.0.0.5 db.internal db\n'],
    (text) => parseHosts(text, 'localhost'),
    {
      holds: (all) =>
        must(
          all.slice(0, 100).every(({ address }) => isAddress(address)),
          'has an address that is none',
        ),
    },
  ),
  ofText(
    'os/linux/reach/names.ts parseResolv',
    [
      '# made by hand\nnameserver 10.0.0.2\nnameserver fe80::1%eth0\nsearch example.org corp.example.org\noptions ndots:2\n',
    ],
    parseResolv,
    { holds: ({ nameServers }) => must(nameServers.every(isAddress), 'has a server that is no address') },
  ),
];
