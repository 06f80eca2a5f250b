/**
 * A rule of nf_tables, run over a packet as far as both are known (net/netfilter/nft_cmp.c, nft_payload.c, nft_meta.c, nft_lookup.c, nft_compat.c).
 * What is not understood is not guessed: the rule may fit then.
 */
import { littleEndian } from '../../byte-order.ts';
import {
  attributesOf,
  dataValue,
  type NftElement,
  type NftExpression,
  type NftRule,
  textOf,
  wordOf,
} from '../netlink/nftables.ts';
import { describeNft } from './nft-text.ts';
import { networkBytes, type Packet, protocolNumbers, transportBytes } from './packet.ts';
import type { Verdict, WalkRule } from './rule-walk.ts';
import { matchFits, targetVerdict } from './xtables.ts';

/** The elements of a set or map; null where they were not read. */
export type Sets = (family: string, table: string, name: string) => readonly NftElement[] | null;

/** @param before How many packets its counter had; 0 when it was not there, null when that was not looked at. */
export function nftRule(rule: NftRule, sets: Sets, before: bigint | null): WalkRule {
  const packets = packetsOf(rule);
  return {
    text: `${describeNft(rule.expressions)} # handle ${rule.handle}`,
    grown: packets === null || before === null ? null : Number(packets - before),
    fits: (packet) => run(rule, packet, sets).fits,
    verdict: (packet) => run(rule, packet, sets).verdict,
  };
}

/** What its counter has counted; null without one. */
export function packetsOf({ expressions }: NftRule): bigint | null {
  const counter = expressions.find(({ name }) => name === 'counter');
  const packets = counter === undefined ? undefined : attributesOf(counter.data).get(2);
  return packets !== undefined && packets.length >= 8 ? packets.readBigUInt64BE(0) : null;
}

interface Run {
  /** False: it does not fit. Null: it may. */
  readonly fits: boolean | null;
  readonly verdict: Verdict;
}

/** Registers hold what was loaded; null for what is not known. */
type Registers = Map<number, Buffer | null>;

function run(rule: NftRule, packet: Packet, sets: Sets): Run {
  const registers: Registers = new Map();
  let fits: boolean | null = true;
  let verdict: Verdict = { kind: 'none' };
  for (const expression of rule.expressions) {
    const step = stepOf(expression, registers, packet, rule, sets);
    if (step.fits === false) return { fits: false, verdict: { kind: 'none' } };
    if (step.fits === null) fits = null;
    if (step.verdict !== undefined) verdict = step.verdict;
  }
  return { fits, verdict };
}

interface Step {
  readonly fits: boolean | null;
  readonly verdict?: Verdict;
}
const passes: Step = { fits: true };
const perhaps: Step = { fits: null };

function stepOf(expression: NftExpression, registers: Registers, packet: Packet, rule: NftRule, sets: Sets): Step {
  const parts = attributesOf(expression.data);
  const number = (type: number): number | null => wordOf(parts.get(type));
  const load = (register: number | null, value: Buffer | null): Step => {
    if (register !== null) registers.set(register, value);
    return passes;
  };
  const read = (type: number): Buffer | null => registers.get(number(type) ?? -1) ?? null;
  const value = (type: number): Buffer | null => {
    const data = parts.get(type);
    return data === undefined ? null : dataValue(data);
  };
  switch (expression.name) {
    case 'meta':
      return load(number(1), metaOf(number(2), packet));
    case 'payload':
      return load(number(1), payloadOf(number(2), number(3), number(4), packet));
    case 'ct':
      // NFT_CT_STATE; NF_CT_STATE_NEW_BIT or that of an established one.
      return load(number(1), number(2) === 0 ? nativeWord(packet.isFirst ? 8 : 2) : null);
    case 'fib':
      // NFT_FIB_RESULT_ADDRTYPE of NFTA_FIB_F_DADDR; RTN_LOCAL is 2.
      return load(number(1), number(2) === 3 && number(3) === 2 && packet.isLocal ? nativeWord(2) : null);
    case 'bitwise':
      return load(number(2), bitwise(read(1), value(4), value(5)));
    case 'cmp':
      return { fits: compare(read(1), number(2), value(3)) };
    case 'range':
      return { fits: inRange(read(1), number(2), value(3), value(4)) };
    case 'lookup':
      return lookup(parts, read(2), rule, sets);
    case 'immediate':
      return immediate(parts, load, number(1));
    case 'reject':
      return { fits: true, verdict: { kind: 'stop', text: number(1) === 1 ? 'reject with tcp reset' : 'reject' } };
    case 'nat':
      return { fits: true, verdict: natOf(number(1), read(3), read(5)) };
    case 'redir': {
      const port = read(1);
      const to = port !== null && port.length >= 2 ? ` to :${port.readUInt16BE(0)}` : '';
      return { fits: true, verdict: { kind: 'forward', text: `redirect${to}` } };
    }
    case 'tproxy':
      return { fits: true, verdict: { kind: 'forward', text: 'tproxy' } };
    case 'queue':
      return { fits: true, verdict: { kind: 'stop', text: 'queue to a program' } };
    case 'masq':
      return { fits: true, verdict: { kind: 'accept' } };
    case 'match':
      return { fits: matchFits(textOf(parts.get(1)), number(2) ?? 0, parts.get(3) ?? Buffer.alloc(0), packet) };
    case 'target':
      return {
        fits: true,
        verdict: targetVerdict(textOf(parts.get(1)), parts.get(3) ?? Buffer.alloc(0), packet.family),
      };
    case 'counter':
    case 'log':
    case 'notrack':
    case 'objref':
      return passes;
    default:
      // It may have written any register.
      registers.clear();
      return perhaps;
  }
}

/** enum nft_meta_keys. */
function metaOf(key: number | null, packet: Packet): Buffer | null {
  switch (key) {
    case 1: {
      const bytes = Buffer.alloc(2);
      bytes.writeUInt16BE(packet.family === 4 ? 0x0800 : 0x86dd);
      return bytes;
    }
    case 6:
      return interfaceName(packet.input);
    case 7:
      return interfaceName(packet.output);
    case 15:
      return Buffer.from([packet.family === 4 ? 2 : 10]);
    case 16:
      return Buffer.from([protocolNumbers[packet.protocol]]);
    default:
      return null;
  }
}

/** IFNAMSIZ bytes. */
function interfaceName(name: string | null): Buffer | null {
  if (name === null) return null;
  const bytes = Buffer.alloc(16);
  bytes.write(name);
  return bytes;
}

function payloadOf(base: number | null, offset: number | null, length: number | null, packet: Packet): Buffer | null {
  if (offset === null || length === null) return null;
  if (base === 1) return networkBytes(packet, offset, length);
  return base === 2 ? transportBytes(packet, offset, length) : null;
}

function nativeWord(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (littleEndian) bytes.writeUInt32LE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

function bitwise(from: Buffer | null, mask: Buffer | null, xor: Buffer | null): Buffer | null {
  if (from === null || mask === null || xor === null) return null;
  return Buffer.from(Array.from(from, (byte, index) => (byte & (mask[index] ?? 0)) ^ (xor[index] ?? 0)));
}

/** enum nft_cmp_ops: eq, neq, lt, lte, gt, gte. A shorter value compares the beginning. */
function compare(from: Buffer | null, operation: number | null, to: Buffer | null): boolean | null {
  if (from === null || to === null || from.length < to.length) return null;
  const order = from.subarray(0, to.length).compare(to);
  const results = [order === 0, order !== 0, order < 0, order <= 0, order > 0, order >= 0];
  return results[operation ?? -1] ?? null;
}

function inRange(
  from: Buffer | null,
  operation: number | null,
  low: Buffer | null,
  high: Buffer | null,
): boolean | null {
  if (from === null || low === null || high === null) return null;
  const inside = from.compare(low) >= 0 && from.compare(high) <= 0;
  return operation === 0 ? inside : operation === 1 ? !inside : null;
}

function lookup(parts: ReadonlyMap<number, Buffer>, key: Buffer | null, rule: NftRule, sets: Sets): Step {
  const elements = key === null ? null : sets(rule.family, rule.table, textOf(parts.get(1)));
  if (key === null || elements === null) return parts.has(3) ? { fits: null, verdict: { kind: 'unknown' } } : perhaps;
  const found = elementOf(elements, key);
  if (found === undefined) return perhaps;
  const inverted = ((wordOf(parts.get(5)) ?? 0) & 1) !== 0;
  if (!parts.has(3)) return { fits: (found !== null) !== inverted };
  if (found === null) return { fits: false };
  return { fits: true, verdict: verdictOf(found.data) };
}

/** The element that holds a key, null for none, undefined where it cannot be told: a key of several fields. */
function elementOf(elements: readonly NftElement[], key: Buffer): NftElement | null | undefined {
  if (elements.some((each) => each.key.length !== key.length)) return undefined;
  if (!elements.some(({ end }) => end)) return elements.find((each) => each.key.equals(key)) ?? null;
  let nearest: NftElement | null = null;
  for (const element of elements) {
    if (element.key.compare(key) > 0) continue;
    const order = nearest === null ? 1 : element.key.compare(nearest.key);
    // Where one interval ends and the next begins, both have the same key.
    if (order > 0 || (order === 0 && !element.end)) nearest = element;
  }
  return nearest === null || nearest.end ? null : nearest;
}

function immediate(
  parts: ReadonlyMap<number, Buffer>,
  load: (register: number | null, value: Buffer | null) => Step,
  register: number | null,
): Step {
  const data = parts.get(2);
  // Register 0 is the verdict.
  if (register === 0) return { fits: true, verdict: verdictOf(data ?? null) };
  return load(register, data === undefined ? null : dataValue(data));
}

/** NFTA_DATA_VERDICT: a code, and the chain to jump to. */
function verdictOf(data: Buffer | null): Verdict {
  const verdict = data === null ? undefined : attributesOf(data).get(2);
  const parts = verdict === undefined ? null : attributesOf(verdict);
  const code = parts?.get(1);
  if (code === undefined || code.length < 4) return { kind: 'unknown' };
  const chain = textOf(parts?.get(2));
  switch (code.readInt32BE(0)) {
    case 0:
      return { kind: 'stop', text: 'drop' };
    case 1:
      return { kind: 'accept' };
    case 3:
      return { kind: 'stop', text: 'queue to a program' };
    case -1:
      return { kind: 'none' };
    case -3:
      return { kind: 'jump', chain };
    case -4:
      return { kind: 'goto', chain };
    case -5:
      return { kind: 'return' };
    default:
      return { kind: 'unknown' };
  }
}

/** NFT_NAT_SNAT changes who we are, and nothing about whether we get there. */
function natOf(type: number | null, address: Buffer | null, port: Buffer | null): Verdict {
  if (type !== 1) return { kind: 'accept' };
  const to = address === null ? '' : ` to ${addressText(address)}`;
  const at = port === null || port.length < 2 ? '' : `:${port.readUInt16BE(0)}`;
  return { kind: 'forward', text: `dnat${to}${at}` };
}

function addressText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  return `[${(bytes.toString('hex').match(/.{4}/g) ?? []).join(':')}]`;
}
