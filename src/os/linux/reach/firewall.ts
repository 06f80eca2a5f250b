/**
 * What root alone can see of a firewall: the rules that our packets met, by their counters or by what they say, and where conntrack has sent
 * them. Of the rules of another network namespace (a router's, a container's) it sees nothing.
 */
import { existsSync } from 'node:fs';
import { familyOf } from '../../../model/address.ts';
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Address, Gap } from '../../../model/facts.ts';
import type { Attempt, Firewall } from '../../../model/reach/evidence.ts';
import { isNativeError } from '../../errors.ts';
import { deviceName } from '../calls/sockaddr.ts';
import { answererOf } from '../netlink/conntrack.ts';
import { type Conversation, NetlinkError } from '../netlink/netlink.ts';
import { NETLINK_ROUTE } from '../netlink/netlink-socket.ts';
import {
  attributesOf,
  type NftElement,
  type NftRule,
  readChains,
  readElements,
  readRules,
  textOf,
} from '../netlink/nftables.ts';
import { readWay } from '../netlink/routes.ts';
import { attempt, type Proc } from '../proc/proc.ts';
import { legacyChains, readLegacy } from './legacy-tables.ts';
import { nftRule, packetsOf, type Sets } from './nft-rule.ts';
import type { Packet } from './packet.ts';
import { askKernel } from './port-sockets.ts';
import { rulesMet, type WalkChain } from './rule-walk.ts';

const NETLINK_NETFILTER = 12;

/** More than this is not walked: a set of a million addresses takes a second to read. */
const mostSets = 32;

export interface FirewallLook {
  /** @param attempts Those that were made since; their own ends are known by now. */
  after(attempts: readonly Pick<Attempt, 'local'>[]): Firewall;
}

/** Null without the right to look, or where the kernel has no firewall. */
export function openFirewall(proc: Proc, to: InetEndpoint, gaps: Gap[]): FirewallLook | null {
  if (!isLoaded(proc)) return { after: () => ({ rules: [], forwardedTo: null }) };
  const before = readNft(gaps);
  const legacyBefore = readLegacy(proc);
  if (before === null) return null;
  return {
    after(attempts) {
      const ends = attempts.flatMap(({ local }) => (local === null ? [] : [local]));
      const packets = packetsTo(to, ends, gaps);
      const chains = [...(nftChains(before, gaps) ?? []), ...legacyChains(readLegacy(proc), legacyBefore)];
      return {
        rules: met(chains, packets, gaps),
        forwardedTo: forwardedTo(to, ends, gaps),
      };
    },
  };
}

/** The chains as they are now; none without the right to look, or where there are more rules than `most`. */
export function chainsNow(proc: Proc, most: number): WalkChain[] {
  if (!isLoaded(proc)) return [];
  return [...(nftChains(null, [], most) ?? []), ...legacyChains(readLegacy(proc), null)];
}

/** Null where a rule does not read as the kernel writes them. */
function met(chains: readonly WalkChain[], packets: readonly Packet[], gaps: Gap[]): Firewall['rules'] {
  try {
    return rulesMet(chains, packets);
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
    gaps.push({
      what: 'The rules of the firewall cannot be read',
      why: error.message,
      hint: 'nft list ruleset shows them',
    });
    return null;
  }
}

/** Asking would load the modules of a firewall where there is none: nobody but the kernel itself has port 0 of its socket then. */
function isLoaded(proc: Proc): boolean {
  const text = attempt(() => proc.text('net/netlink', 1_048_576));
  return text === null || /^[0-9a-f]+ 12 +0 /m.test(text) || existsSync(`${proc.root}/net/ip_tables_names`);
}

interface NftState {
  /** Packets by rule. */
  readonly packets: ReadonlyMap<string, bigint>;
}

function readNft(gaps: Gap[]): NftState | null {
  const rules = askNft(gaps, (kernel) => readRules(kernel));
  if (rules === null) return null;
  const packets = new Map<string, bigint>();
  for (const rule of rules) {
    const counted = packetsOf(rule);
    if (counted !== null) packets.set(keyOf(rule), counted);
  }
  return { packets };
}

function askNft<T>(gaps: Gap[], use: (kernel: Conversation) => T): T | null {
  const refused: Gap[] = [];
  const answer = askKernel(NETLINK_NETFILTER, refused, 'The rules of the firewall cannot be seen', use);
  // EINVAL: this kernel has no nf_tables.
  for (const gap of refused)
    if (gap.why !== 'EINVAL' && gap.why !== 'EPROTONOSUPPORT')
      gaps.push(
        gap.why === 'EPERM' ? { ...gap, hint: 'Run it as root: the kernel shows the rules to nobody else' } : gap,
      );
  return answer;
}

function keyOf({ family, table, chain, handle }: NftRule): string {
  return `${family}\n${table}\n${chain}\n${handle}`;
}

/** @param before Null where counters are not compared. @param most More rules than this are not walked. */
function nftChains(before: NftState | null, gaps: Gap[], most?: number): WalkChain[] | null {
  return askNft(gaps, (kernel) => {
    const rules = readRules(kernel, most);
    const sets = readSets(kernel, rules);
    return readChains(kernel).map((chain): WalkChain => {
      const own = rules.filter(
        (rule) => rule.family === chain.family && rule.table === chain.table && rule.chain === chain.name,
      );
      return {
        system: 'nftables',
        table: `${chain.family} ${chain.table}`,
        name: chain.name,
        hook: chain.hook,
        family: chain.family === 'inet' ? null : chain.family === 'ip' ? 4 : 6,
        policyDrops: chain.policyDrops,
        rules: own.map((rule) => nftRule(rule, sets, before === null ? null : (before.packets.get(keyOf(rule)) ?? 0n))),
      };
    });
  });
}

/** The sets that these rules look into. */
function readSets(kernel: Conversation, rules: readonly NftRule[]): Sets {
  const read = new Map<string, readonly NftElement[] | null>();
  const nameOf = (family: string, table: string, set: string): string => `${family}\n${table}\n${set}`;
  for (const { family, table, expressions } of rules)
    for (const { name, data } of expressions) {
      const set = name === 'lookup' ? textOf(attributesOf(data).get(1)) : '';
      const key = nameOf(family, table, set);
      if (set === '' || read.has(key) || read.size >= mostSets) continue;
      try {
        read.set(key, readElements(kernel, family, table, set));
      } catch (error) {
        // It is gone since.
        if (!isNativeError(error)) throw error;
        read.set(key, null);
      }
    }
  return (family, table, set) => read.get(nameOf(family, table, set)) ?? null;
}

/** Our packets at every hook that they pass on this machine, and the answers to them. */
function packetsTo(to: InetEndpoint, ends: readonly Address[], gaps: Gap[]): Packet[] {
  const way = askKernel(NETLINK_ROUTE, gaps, `The route to ${to.address} cannot be asked`, (kernel) =>
    readWay(kernel, to),
  );
  if (way === null || 'errno' in way) return [];
  const isLocal = way.type === 'local';
  const device = way.deviceIndex === null ? null : deviceName(way.deviceIndex);
  const end = ends.at(-1) ?? { address: way.source ?? to.address, port: 0 };
  const family = familyOf(to.address);
  const { protocol } = to;
  const target = { address: to.address, port: to.port };
  const packet = (hook: Packet['hook'], isFirst: boolean): Packet => {
    const [from, goal] = isFirst ? [end, target] : [target, end];
    const leaves = hook === 'output' || hook === 'postrouting';
    // A name of no interface, as the kernel has it where there is none.
    return {
      hook,
      family,
      protocol,
      from,
      to: goal,
      input: leaves ? '' : device,
      output: leaves ? device : '',
      isFirst,
      isLocal: isLocal || !isFirst,
    };
  };
  const first = isLocal
    ? (['output', 'postrouting', 'prerouting', 'input'] as const)
    : (['output', 'postrouting'] as const);
  const back = isLocal ? first : (['prerouting', 'input'] as const);
  return [...first.map((hook) => packet(hook, true)), ...back.map((hook) => packet(hook, false))];
}

/** Null where they go where they were sent. */
function forwardedTo(to: InetEndpoint, ends: readonly Address[], gaps: Gap[]): Address | null {
  const end = ends.at(-1);
  if (end === undefined) return null;
  const answerer = askKernel(NETLINK_NETFILTER, gaps, 'Where conntrack sends the packets cannot be seen', (kernel) =>
    answererOf(kernel, to.protocol, end, to),
  );
  return answerer === null || (answerer.address === to.address && answerer.port === to.port) ? null : answerer;
}
