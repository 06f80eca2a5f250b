/**
 * What the kernel counts of the packets of one network namespace: proc_net_snmp, netstat, snmp6 (net/ipv4/proc.c, net/ipv6/proc.c) and
 * stat/nf_conntrack (net/netfilter/nf_conntrack_standalone.c), stat/rt_cache (net/ipv4/route.c). Any user may read them. They are sums over everybody, so only what one attempt
 * changes says something; what others send meanwhile changes two counters of a pair alike, and cancels in their difference.
 */
import { attempt, type Proc } from './proc.ts';

/** Counts by name, such as `Ip.OutRequests`, `TcpExt.ListenOverflows`, `Ip6.InDelivers` or `Conntrack.drop`; digits, because they may have 64 bits. */
export type Counts = ReadonlyMap<string, string>;

const limit = 262_144;

/** What cannot be read, or what this kernel does not count, is left out. */
export function readCounters(proc: Proc): Counts {
  const counts = new Map<string, string>();
  const text = (name: string): string => attempt(() => proc.text(`net/${name}`, limit)) ?? '';
  for (const name of ['snmp', 'netstat']) parsePairs(text(name), counts);
  parseList(text('snmp6'), counts);
  parseProcessors(text('stat/nf_conntrack'), 'Conntrack', counts);
  // Of the whole machine, and not of this network namespace alone.
  parseProcessors(text('stat/rt_cache'), 'Route', counts);
  return counts;
}

/**
 * How much each counter grew. A counter is an unsigned long, or has 32 bits: one that is smaller than before has wrapped,
 * unless that would be more than half of its range, which means that it was set back; then it is left out.
 */
export function growthOf(before: Counts, after: Counts): Record<string, number> {
  const grown: Record<string, number> = {};
  for (const [name, digits] of after) {
    const earlier = before.get(name);
    if (earlier === undefined) continue;
    if (earlier === digits) {
      grown[name] = 0;
      continue;
    }
    let growth = BigInt(digits) - BigInt(earlier);
    if (growth < 0n) {
      const range = BigInt(earlier) < 1n << 32n ? 1n << 32n : 1n << 64n;
      growth += range;
      if (growth <= 0n || growth > range / 2n) continue;
    }
    grown[name] = Number(growth);
  }
  return grown;
}

/** Two lines a group: `Tcp: RtoAlgorithm OutRsts` and `Tcp: 1 7`. Negative numbers, as MaxConn, count nothing. */
export function parsePairs(text: string, counts: Map<string, string> = new Map()): Map<string, string> {
  const lines = text.split('\n');
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const [group, ...names] = (lines[at] ?? '').split(' ');
    const [same, ...values] = (lines[at + 1] ?? '').split(' ');
    if (group === undefined || group !== same || !group.endsWith(':')) continue;
    for (const [index, name] of names.entries()) note(counts, `${group.slice(0, -1)}.${name}`, values[index]);
  }
  return counts;
}

/** `Ip6InReceives                   	7` a line; the group ends with the version. */
export function parseList(text: string, counts: Map<string, string> = new Map()): Map<string, string> {
  for (const line of text.split('\n')) {
    const [, group, name, value] = /^((?:Ip|Icmp|Udp|UdpLite)6)(\w+)\s+(\d+)$/.exec(line) ?? [];
    if (group !== undefined) note(counts, `${group}.${name}`, value);
  }
  return counts;
}

/** A line of names, then one of hexadecimal numbers for each processor; `entries` is the same total in each. */
export function parseProcessors(
  text: string,
  group: string,
  counts: Map<string, string> = new Map(),
): Map<string, string> {
  const [head = '', ...rows] = text.split('\n');
  const columns = rows.map((row) => row.trim().split(/\s+/)).filter((row) => /^[0-9a-f]+$/.test(row[0] ?? ''));
  if (columns.length === 0) return counts;
  for (const [index, name] of head.trim().split(/\s+/).entries()) {
    if (name === '' || name === 'entries') continue;
    const values = columns.map((row) => row[index] ?? '');
    if (!values.every((value) => /^[0-9a-f]{1,16}$/.test(value))) continue;
    // The sum over processors wraps as each of them does, at 32 bits.
    const sum = values.reduce((total, value) => total + BigInt(`0x${value}`), 0n);
    counts.set(`${group}.${name}`, String(sum & 0xffff_ffffn));
  }
  return counts;
}

function note(counts: Map<string, string>, name: string, value: string | undefined): void {
  if (value !== undefined && /^\d{1,20}$/.test(value)) counts.set(name, value);
}
