/**
 * The rules of the older iptables as chains that a packet goes through (net/ipv4/netfilter/ip_tables.c, ipt_do_table).
 */
import { littleEndian } from '../../byte-order.ts';
import { type LegacyEntry, type LegacyTable, readLegacyTable } from '../calls/legacy-rules.ts';
import { addressBytes } from '../calls/sockaddr.ts';
import { addressOf } from '../netlink/routes.ts';
import { attempt, type Proc } from '../proc/proc.ts';
import { type Packet, protocolNumbers } from './packet.ts';
import type { Verdict, WalkChain, WalkRule } from './rule-walk.ts';
import { matchFits, targetVerdict } from './xtables.ts';

const files = { 4: 'net/ip_tables_names', 6: 'net/ip6_tables_names' } as const;
/** The order of enum nf_inet_hooks. */
const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;

// IPT_INV_… of ip_tables.h; those of ip6_tables.h are the same.
const inverts = { input: 0x01, output: 0x02, source: 0x08, destination: 0x10, fragment: 0x20, protocol: 0x40 } as const;

/** The tables that are there. */
export function readLegacy(proc: Proc): LegacyTable[] {
  return ([4, 6] as const).flatMap((family) => {
    const names = (attempt(() => proc.text(files[family])) ?? '')
      .split('\n')
      .filter((name) => /^[a-z]{1,31}$/.test(name));
    return names.flatMap((name) => readLegacyTable(family, name) ?? []);
  });
}

/** @param before The same tables before the packets: a rule that is not in its place any more has no counter that could be compared. Null where none is. */
export function legacyChains(tables: readonly LegacyTable[], before: readonly LegacyTable[] | null): WalkChain[] {
  return tables.flatMap((table) => {
    const earlier = before?.find(({ family, name }) => family === table.family && name === table.name);
    const isSame = earlier?.entries.length === table.entries.length;
    const counted = new Map(isSame ? earlier.entries.map(({ at, packets }) => [at, packets]) : []);
    return chainsOf(table, counted);
  });
}

function chainsOf(table: LegacyTable, before: ReadonlyMap<number, bigint>): WalkChain[] {
  const chains: WalkChain[] = [];
  const { entries, family } = table;
  const starts = new Map<number, string>();
  for (const [index, place] of table.hooks.entries())
    if (place !== null) starts.set(place.first, (hooks[index] ?? '').toUpperCase());
  // A chain of a user's own begins behind an entry with the target ERROR, which holds its name.
  for (const [index, entry] of entries.entries())
    if (entry.target.name === 'ERROR') {
      const first = entries[index + 1];
      if (first !== undefined) starts.set(first.at, nameOf(entry));
    }
  const common = { system: 'iptables-legacy', table: `${family === 4 ? 'ip' : 'ip6'} ${table.name}`, family } as const;
  for (const [first, name] of starts) {
    const hook = table.hooks.findIndex((place) => place?.first === first);
    const policyAt = table.hooks[hook]?.policy ?? null;
    const rules: LegacyEntry[] = [];
    let policyDrops = false;
    for (const entry of entries.slice(entries.findIndex(({ at }) => at === first))) {
      if (entry.target.name === 'ERROR') break;
      if (entry.at === policyAt) {
        policyDrops = standardVerdict(entry) === -1;
        break;
      }
      rules.push(entry);
    }
    chains.push({
      ...common,
      name,
      hook: hooks[hook] ?? null,
      policyDrops,
      rules: rules.map((entry) => ruleOf(entry, family, starts, before.get(entry.at) ?? null)),
    });
  }
  return chains;
}

function nameOf({ target }: LegacyEntry): string {
  const end = target.info.indexOf(0);
  return target.info.toString('utf8', 0, end < 0 ? target.info.length : end);
}

function ruleOf(
  entry: LegacyEntry,
  family: 4 | 6,
  starts: ReadonlyMap<number, string>,
  before: bigint | null,
): WalkRule {
  const verdict = verdictOf(entry, family, starts);
  return {
    text: textOf(entry, verdict),
    grown: before === null ? null : Number(entry.packets - before),
    fits: (packet) => fits(entry, packet),
    verdict: () => verdict,
  };
}

/** A target without a name holds a verdict: -1 DROP, -2 ACCEPT, -5 RETURN, or where to jump to. */
function standardVerdict({ target: { info } }: LegacyEntry): number | null {
  if (info.length < 4) return null;
  return littleEndian ? info.readInt32LE(0) : info.readInt32BE(0);
}

function verdictOf(entry: LegacyEntry, family: 4 | 6, starts: ReadonlyMap<number, string>): Verdict {
  if (entry.target.name !== '') return targetVerdict(entry.target.name, entry.target.info, family);
  const code = standardVerdict(entry);
  if (code === -1) return { kind: 'stop', text: 'DROP' };
  if (code === -2) return { kind: 'accept' };
  if (code === -5) return { kind: 'return' };
  const chain = code === null ? undefined : starts.get(code);
  return chain === undefined ? { kind: 'unknown' } : { kind: 'jump', chain };
}

function fits(entry: LegacyEntry, packet: Packet): boolean | null {
  const inverted = (flag: number): boolean => (entry.inverted & flag) !== 0;
  const source = inside(packet.from.address, entry.source, entry.sourceMask, inverted(inverts.source));
  const destination = inside(
    packet.to.address,
    entry.destination,
    entry.destinationMask,
    inverted(inverts.destination),
  );
  const protocol =
    entry.protocol === 0 || (entry.protocol === protocolNumbers[packet.protocol]) !== inverted(inverts.protocol);
  if (!protocol) return false;
  const seen = [
    source,
    destination,
    through(packet.input, entry.input, inverted(inverts.input)),
    through(packet.output, entry.output, inverted(inverts.output)),
    ...entry.matches.map(({ name, revision, info }) => matchFits(name, revision, info, packet)),
  ];
  if (seen.includes(false)) return false;
  return seen.includes(null) || inverted(inverts.fragment) ? null : true;
}

/** Null for an address that is not known. */
function inside(address: string, network: Buffer, mask: Buffer, isInverted: boolean): boolean | null {
  if (mask.every((byte) => byte === 0)) return !isInverted;
  if (address === '') return null;
  const bytes = addressBytes(address);
  const fits =
    bytes.length === mask.length && bytes.every((byte, index) => (byte & (mask[index] ?? 0)) === (network[index] ?? 0));
  return fits !== isInverted;
}

function through(name: string | null, [wanted, mask]: readonly [Buffer, Buffer], isInverted: boolean): boolean | null {
  if (mask.every((byte) => byte === 0)) return true;
  if (name === null) return null;
  const bytes = Buffer.alloc(16);
  bytes.write(name);
  return mask.every((byte, index) => (((bytes[index] ?? 0) ^ (wanted[index] ?? 0)) & byte) === 0) !== isInverted;
}

/** As iptables -S writes the parts that decide. */
function textOf(entry: LegacyEntry, verdict: Verdict): string {
  const words: string[] = [];
  const not = (flag: number): string => ((entry.inverted & flag) === 0 ? '' : '! ');
  const network = (flag: string, invert: number, address: Buffer, mask: Buffer): void => {
    const bits = [...mask].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
    if (bits > 0) words.push(`${not(invert)}${flag} ${addressOf(address) ?? '…'}/${bits}`);
  };
  network('-s', inverts.source, entry.source, entry.sourceMask);
  network('-d', inverts.destination, entry.destination, entry.destinationMask);
  for (const [flag, invert, [name, mask]] of [
    ['-i', inverts.input, entry.input],
    ['-o', inverts.output, entry.output],
  ] as const)
    if (mask.some((byte) => byte !== 0))
      words.push(`${not(invert)}${flag} ${name.toString('utf8').replace(/\0.*$/s, '')}`);
  const protocol = { 6: 'tcp', 17: 'udp', 1: 'icmp' }[entry.protocol];
  if (entry.protocol !== 0) words.push(`${not(inverts.protocol)}-p ${protocol ?? entry.protocol}`);
  for (const { name, info } of entry.matches) words.push(`-m ${name}${portsIn(name, info)}`);
  const target = 'text' in verdict ? verdict.text : 'chain' in verdict ? verdict.chain : entry.target.name;
  return [...words, `-j ${target}`].join(' ');
}

function portsIn(name: string, info: Buffer): string {
  if ((name !== 'tcp' && name !== 'udp') || info.length < 8) return '';
  const half = (at: number): number => (littleEndian ? info.readUInt16LE(at) : info.readUInt16BE(at));
  const range = (flag: string, at: number): string => {
    const [low, high] = [half(at), half(at + 2)];
    return low === 0 && high === 0xffff ? '' : ` ${flag} ${low === high ? low : `${low}:${high}`}`;
  };
  return range('--sport', 0) + range('--dport', 4);
}
