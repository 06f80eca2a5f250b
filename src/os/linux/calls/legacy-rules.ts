/**
 * The rules of the older iptables: getsockopt(2) with IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES (include/uapi/linux/netfilter_ipv4/ip_tables.h,
 * netfilter_ipv6/ip6_tables.h, netfilter/x_tables.h). Only root of the network namespace may ask. Only tables that are there already are asked
 * for: the question would make them.
 */
import { littleEndian } from '../../byte-order.ts';
import { isNativeError } from '../../errors.ts';
import { getNative, sockets } from './socket.ts';

const IPT_SO_GET_INFO = 64;
const IPT_SO_GET_ENTRIES = 65;
const levels = { 4: 0, 6: 41 } as const;

const nameSize = 32;
/** struct ipt_getinfo: name, valid hooks, entry and underflow of each of five hooks, number of entries, size. */
const info = { hooks: 32, entries: 36, underflows: 56, size: 80, total: 84 } as const;
/** struct ipt_get_entries: name, size, and the entries at the next multiple of eight. */
const tableAt = 40;
/** 16,000 plain rules. */
const mostBytes = 4_194_304;

/** struct ipt_entry and struct ip6t_entry. */
const layouts = {
  4: { address: 4, names: 16, protocol: 80, inverted: 83, target: 88, next: 90, packets: 96, size: 112 },
  6: { address: 16, names: 64, protocol: 128, inverted: 132, target: 140, next: 142, packets: 152, size: 168 },
} as const;

/** One match or target: its name, its version, and its own bytes. */
export interface LegacyPart {
  readonly name: string;
  readonly revision: number;
  readonly info: Buffer;
}

export interface LegacyEntry {
  /** Where it lies in the table, which is how others jump to it. */
  readonly at: number;
  readonly source: Buffer;
  readonly sourceMask: Buffer;
  readonly destination: Buffer;
  readonly destinationMask: Buffer;
  /** Names of interfaces with their masks: a byte that is 0 in the mask may be anything. */
  readonly input: readonly [Buffer, Buffer];
  readonly output: readonly [Buffer, Buffer];
  /** 0 for any. */
  readonly protocol: number;
  /** IPT_INV_… */
  readonly inverted: number;
  readonly packets: bigint;
  readonly matches: readonly LegacyPart[];
  readonly target: LegacyPart;
}

export interface LegacyTable {
  readonly family: 4 | 6;
  readonly name: string;
  /** Where the chain of each hook begins and where its policy lies; null for a hook that the table has not. */
  readonly hooks: readonly ({ readonly first: number; readonly policy: number } | null)[];
  readonly entries: readonly LegacyEntry[];
}

/** Null when it may not be read, or is gone. */
export function readLegacyTable(family: 4 | 6, name: string): LegacyTable | null {
  let fd: number | null = null;
  try {
    fd = sockets.open('udp', family);
    const level = levels[family];
    const head = getNative(fd, { level, name: IPT_SO_GET_INFO }, info.total, Buffer.from(name));
    const size = wordAt(head, info.size);
    if (size === 0 || size > mostBytes) return null;
    const asked = Buffer.alloc(nameSize + 4);
    asked.write(name);
    writeWord(asked, nameSize, size);
    const bytes = getNative(fd, { level, name: IPT_SO_GET_ENTRIES }, tableAt + size, asked);
    return { family, name, hooks: hooksOf(head), entries: decodeEntries(bytes.subarray(tableAt), family) };
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  } finally {
    if (fd !== null) sockets.close(fd);
  }
}

function hooksOf(head: Buffer): LegacyTable['hooks'] {
  const valid = wordAt(head, info.hooks);
  return [0, 1, 2, 3, 4].map((hook) =>
    (valid & (1 << hook)) === 0
      ? null
      : { first: wordAt(head, info.entries + 4 * hook), policy: wordAt(head, info.underflows + 4 * hook) },
  );
}

/** The entries of a table, as far as they make sense. */
export function decodeEntries(bytes: Buffer, family: 4 | 6): LegacyEntry[] {
  const layout = layouts[family];
  const found: LegacyEntry[] = [];
  for (let at = 0; at + layout.size <= bytes.length; ) {
    const entry = bytes.subarray(at);
    const next = halfAt(entry, layout.next);
    const target = halfAt(entry, layout.target);
    if (next < layout.size || next > entry.length || target < layout.size || target + nameSize > next) break;
    const part = (from: number, end: number): LegacyPart => ({
      name: textAt(entry, from + 2, 29),
      revision: entry[from + 31] ?? 0,
      info: Buffer.from(entry.subarray(from + nameSize, end)),
    });
    const matches: LegacyPart[] = [];
    for (let from: number = layout.size; from + nameSize <= target; ) {
      const size = halfAt(entry, from);
      if (size < nameSize || from + size > target) break;
      matches.push(part(from, from + size));
      from += size;
    }
    const address = (index: number): Buffer =>
      Buffer.from(entry.subarray(index * layout.address, (index + 1) * layout.address));
    const name = (index: number): Buffer =>
      Buffer.from(entry.subarray(layout.names + 16 * index, layout.names + 16 * (index + 1)));
    found.push({
      at,
      source: address(0),
      destination: address(1),
      sourceMask: address(2),
      destinationMask: address(3),
      input: [name(0), name(2)],
      output: [name(1), name(3)],
      protocol: halfAt(entry, layout.protocol),
      inverted: entry[layout.inverted] ?? 0,
      packets: longAt(entry, layout.packets),
      matches,
      target: part(target, next),
    });
    at += next;
  }
  return found;
}

function textAt(bytes: Buffer, at: number, most: number): string {
  const part = bytes.subarray(at, at + most);
  const end = part.indexOf(0);
  return part.toString('utf8', 0, end < 0 ? part.length : end);
}

function wordAt(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) return 0;
  return littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
}

function halfAt(bytes: Buffer, at: number): number {
  return littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
}

function longAt(bytes: Buffer, at: number): bigint {
  return littleEndian ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at);
}

function writeWord(bytes: Buffer, at: number, value: number): void {
  if (littleEndian) bytes.writeUInt32LE(value, at);
  else bytes.writeUInt32BE(value, at);
}
