/**
 * The rules of nf_tables, also those that iptables-nft made: nft(8), include/uapi/linux/netfilter/nf_tables.h, net/netfilter/nf_tables_api.c.
 * Only root of the network namespace may read them.
 */
import { eachAttribute, encodeAttribute } from './attributes.ts';
import { type Conversation, dump, NetlinkError } from './netlink.ts';

const NFNL_SUBSYS_NFTABLES = 10 << 8;
const NFT_MSG_GETCHAIN = NFNL_SUBSYS_NFTABLES | 4;
const NFT_MSG_GETRULE = NFNL_SUBSYS_NFTABLES | 7;
const NFT_MSG_GETSETELEM = NFNL_SUBSYS_NFTABLES | 13;

/** struct nfgenmsg: family u8, version u8, resource u16. */
const headerSize = 4;

/** Families whose rules an IP packet meets: NFPROTO_INET, NFPROTO_IPV4, NFPROTO_IPV6. */
export const families = { 1: 'inet', 2: 'ip', 10: 'ip6' } as const;
export type NftFamily = (typeof families)[keyof typeof families];

/** enum nf_inet_hooks. */
const hooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
export type Hook = (typeof hooks)[number];

export interface NftChain {
  readonly family: NftFamily;
  readonly table: string;
  readonly name: string;
  /** Null of a chain that rules jump to. */
  readonly hook: Hook | null;
  readonly policyDrops: boolean;
}

/** One step of a rule: its kind, and its attributes as they came. */
export interface NftExpression {
  readonly name: string;
  readonly data: Buffer;
}

export interface NftRule {
  readonly family: NftFamily;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
  readonly expressions: readonly NftExpression[];
}

/** An element of a set: `end` closes an interval, `data` is what a map has for it. */
export interface NftElement {
  readonly key: Buffer;
  readonly end: boolean;
  readonly data: Buffer | null;
}

/** @throws {NativeError} EPERM for all but root. @throws {NetlinkError} */
export function readChains(conversation: Conversation): NftChain[] {
  return dump(conversation, NFT_MSG_GETCHAIN, Buffer.alloc(headerSize), decodeChain).rows;
}

/** In the order that packets meet them. @throws {NativeError} @throws {NetlinkError} also when there are more than `most`. */
export function readRules(conversation: Conversation, most = Number.POSITIVE_INFINITY): NftRule[] {
  let left = most;
  return dump(conversation, NFT_MSG_GETRULE, Buffer.alloc(headerSize), (body) => {
    if (left-- <= 0) throw new NetlinkError(`There are more than ${most} rules`);
    return decodeRule(body);
  }).rows;
}

/** @throws {NativeError} ENOENT when there is no such set. @throws {NetlinkError} */
export function readElements(conversation: Conversation, family: NftFamily, table: string, set: string): NftElement[] {
  const header = Buffer.alloc(headerSize);
  header[0] = Number(Object.entries(families).find(([, name]) => name === family)?.[0]);
  const text = (type: number, value: string): Buffer => encodeAttribute(type, Buffer.from(`${value}\0`));
  const request = Buffer.concat([header, text(1, table), text(2, set)]);
  return dump(conversation, NFT_MSG_GETSETELEM, request, decodeElements).rows.flat();
}

/** Null for a chain that no IP packet meets. @throws {NetlinkError} */
export function decodeChain(body: Buffer): NftChain | null {
  const family = familyOf(body);
  if (family === null) return null;
  const text = { table: '', name: '' };
  let hook: Hook | null = null;
  let policyDrops = false;
  eachAttribute(body, headerSize, (type, value) => {
    if (type === 1) text.table = textOf(value);
    else if (type === 3) text.name = textOf(value);
    else if (type === 4)
      eachAttribute(value, 0, (inner, number) => {
        if (inner === 1) hook = hooks[wordOf(number) ?? -1] ?? null;
      });
    // NF_DROP is 0.
    else if (type === 5) policyDrops = wordOf(value) === 0;
  });
  return { family, ...text, hook, policyDrops };
}

/** Null for a rule that no IP packet meets. @throws {NetlinkError} */
export function decodeRule(body: Buffer): NftRule | null {
  const family = familyOf(body);
  if (family === null) return null;
  const text = { table: '', chain: '' };
  let handle = 0;
  const expressions: NftExpression[] = [];
  eachAttribute(body, headerSize, (type, value) => {
    if (type === 1) text.table = textOf(value);
    else if (type === 2) text.chain = textOf(value);
    else if (type === 3 && value.length >= 8) handle = Number(value.readBigUInt64BE(0));
    else if (type === 4) eachAttribute(value, 0, (_, element) => expressions.push(expressionOf(element)));
  });
  return { family, ...text, handle, expressions };
}

function expressionOf(element: Buffer): NftExpression {
  let name = '';
  let data: Buffer = Buffer.alloc(0);
  eachAttribute(element, 0, (type, value) => {
    if (type === 1) name = textOf(value);
    // The answer is overwritten by the next one.
    else if (type === 2) data = Buffer.from(value);
  });
  return { name, data };
}

/** @throws {NetlinkError} */
export function decodeElements(body: Buffer): NftElement[] {
  const found: NftElement[] = [];
  eachAttribute(body, headerSize, (type, list) => {
    if (type !== 3) return;
    eachAttribute(list, 0, (_, element) => {
      let key: Buffer | null = null;
      let data: Buffer | null = null;
      let flags = 0;
      eachAttribute(element, 0, (inner, value) => {
        if (inner === 1) key = dataValue(value);
        else if (inner === 2) data = Buffer.from(value);
        else if (inner === 3) flags = wordOf(value) ?? 0;
      });
      if (key !== null) found.push({ key, data, end: (flags & 1) !== 0 });
    });
  });
  return found;
}

/** The attributes of an expression by number. */
export function attributesOf(data: Buffer): ReadonlyMap<number, Buffer> {
  const found = new Map<number, Buffer>();
  eachAttribute(data, 0, (type, value) => found.set(type, value));
  return found;
}

/** NFTA_DATA_VALUE. */
export function dataValue(data: Buffer): Buffer | null {
  let found: Buffer | null = null;
  eachAttribute(data, 0, (type, value) => {
    if (type === 1) found = Buffer.from(value);
  });
  return found;
}

/** Numbers of nf_tables are in network order. */
export function wordOf(value: Buffer | undefined): number | null {
  return value !== undefined && value.length >= 4 ? value.readUInt32BE(0) : null;
}

/** Strings end with a NUL byte. */
export function textOf(value: Buffer | undefined): string {
  if (value === undefined) return '';
  const end = value.indexOf(0);
  return value.toString('utf8', 0, end < 0 ? value.length : end);
}

function familyOf(body: Buffer): NftFamily | null {
  if (body.length < headerSize) throw new NetlinkError(`A rule of ${body.length} bytes is cut off`);
  return (families as Readonly<Record<number, NftFamily>>)[body[0] ?? 0] ?? null;
}
