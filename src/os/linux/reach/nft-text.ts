/**
 * A rule of nf_tables in words, as nft(8) writes the parts of it that decide about a connection. What is not known is `…`.
 */
import { littleEndian } from '../../byte-order.ts';
import { attributesOf, dataValue, type NftExpression, textOf, wordOf } from '../netlink/nftables.ts';
import { addressOf } from '../netlink/routes.ts';
import { targetVerdict } from './xtables.ts';

const operators = ['', '!= ', '< ', '<= ', '> ', '>= '] as const;

/** What a register holds: the word for it, and how a value of it is written. */
interface Label {
  readonly words: string;
  write(value: Buffer): string;
}

const unknown: Label = { words: '…', write: () => '…' };
const asPort = (value: Buffer): string => (value.length >= 2 ? String(value.readUInt16BE(0)) : '…');
const asName = (value: Buffer): string => `"${textOf(value)}${value.includes(0) ? '' : '*'}"`;
const asAddress = (value: Buffer): string =>
  addressOf(value) ?? (value.length < 4 ? `${[...value, 0, 0, 0].slice(0, 4).join('.')}/${8 * value.length}` : '…');
const protocols: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' };

export function describeNft(expressions: readonly NftExpression[]): string {
  const words: string[] = [];
  const labels = new Map<number, Label>();
  let protocol = '';
  let mask: Buffer | null = null;
  for (const { name, data } of expressions) {
    const parts = attributesOf(data);
    const number = (type: number): number => wordOf(parts.get(type)) ?? -1;
    const value = (type: number): Buffer => dataValue(parts.get(type) ?? Buffer.alloc(0)) ?? Buffer.alloc(0);
    switch (name) {
      case 'meta':
        labels.set(number(1), metaLabel(number(2)));
        break;
      case 'payload':
        labels.set(number(1), payloadLabel(number(2), number(3), number(4), protocol));
        break;
      case 'ct':
        labels.set(number(1), number(2) === 0 ? { words: 'ct state', write: stateNames } : unknown);
        break;
      case 'fib':
        labels.set(number(1), { words: 'fib daddr type', write: (type) => (type[0] === 2 ? 'local' : '…') });
        break;
      case 'bitwise':
        labels.set(number(2), labels.get(number(1)) ?? unknown);
        mask = value(4);
        break;
      case 'cmp': {
        const label = labels.get(number(1)) ?? unknown;
        if (label.words === 'meta l4proto' && number(2) === 0) protocol = protocols[value(3)[0] ?? 0] ?? '';
        words.push(compared(label, number(2), value(3), mask));
        mask = null;
        break;
      }
      case 'range': {
        const label = labels.get(number(1)) ?? unknown;
        words.push(`${label.words} ${operators[number(2)] ?? ''}${label.write(value(3))}-${label.write(value(4))}`);
        break;
      }
      case 'lookup':
        words.push(`${(labels.get(number(2)) ?? unknown).words} @${textOf(parts.get(1))}`);
        break;
      default:
        words.push(actionOf(name, parts));
    }
  }
  // What only selects the protocol is said by the ports behind it.
  const plain = words.filter((word) => word !== '' && !/^meta (?:l4proto|nfproto|protocol) /.test(word));
  if (protocol !== '' && !plain.some((word) => word.startsWith(`${protocol} `)))
    plain.unshift(`meta l4proto ${protocol}`);
  return plain.join(' ');
}

function compared(label: Label, operation: number, value: Buffer, mask: Buffer | null): string {
  // `ct state established,related` is a mask that must leave something.
  if (label.words === 'ct state' && mask !== null) return `ct state ${stateNames(mask)}`;
  const prefix = mask === null || mask.length !== value.length ? '' : `/${bitsOf(mask)}`;
  return `${label.words} ${operators[operation] ?? ''}${label.write(value)}${prefix}`;
}

function bitsOf(mask: Buffer): number {
  return [...mask].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
}

function metaLabel(key: number): Label {
  if (key === 6) return { words: 'iifname', write: asName };
  if (key === 7) return { words: 'oifname', write: asName };
  if (key === 16) return { words: 'meta l4proto', write: (value) => protocols[value[0] ?? 0] ?? '…' };
  if (key === 15) return { words: 'meta nfproto', write: (value) => (value[0] === 2 ? 'ipv4' : 'ipv6') };
  if (key === 1) return { words: 'meta protocol', write: (value) => value.toString('hex') };
  return unknown;
}

function payloadLabel(base: number, offset: number, length: number, protocol: string): Label {
  if (base === 2 && length === 2 && (offset === 0 || offset === 2))
    return { words: `${protocol || 'th'} ${offset === 0 ? 'sport' : 'dport'}`, write: asPort };
  if (base !== 1) return unknown;
  // Source and destination of the headers of IPv4 and IPv6; a shorter load is a prefix.
  if (offset === 12 && length <= 4) return { words: 'ip saddr', write: asAddress };
  if (offset === 16 && length <= 4) return { words: 'ip daddr', write: asAddress };
  if (offset === 8 && length === 16) return { words: 'ip6 saddr', write: asAddress };
  if (offset === 24 && length === 16) return { words: 'ip6 daddr', write: asAddress };
  return unknown;
}

function stateNames(value: Buffer): string {
  const bits = value.length < 4 ? 0 : littleEndian ? value.readUInt32LE(0) : value.readUInt32BE(0);
  const names = ['invalid', 'established', 'related', 'new'].filter((_, index) => (bits & (1 << index)) !== 0);
  return names.length === 0 ? '…' : names.join(',');
}

function actionOf(name: string, parts: ReadonlyMap<number, Buffer>): string {
  switch (name) {
    case 'counter':
      return 'counter';
    case 'immediate':
      // Else it loads a register.
      return verdictWords(parts.get(2)) ?? '';
    case 'reject':
      return wordOf(parts.get(1)) === 1 ? 'reject with tcp reset' : 'reject';
    case 'nat':
      return wordOf(parts.get(1)) === 1 ? 'dnat' : 'snat';
    case 'redir':
      return 'redirect';
    case 'masq':
      return 'masquerade';
    case 'match':
      return `xt match "${textOf(parts.get(1))}"`;
    case 'target': {
      const verdict = targetVerdict(textOf(parts.get(1)), parts.get(3) ?? Buffer.alloc(0), 4);
      return 'text' in verdict ? verdict.text : textOf(parts.get(1));
    }
    case 'log':
    case 'queue':
    case 'limit':
    case 'notrack':
    case 'tproxy':
      return name;
    default:
      return '…';
  }
}

function verdictWords(data: Buffer | undefined): string | null {
  const verdict = data === undefined ? undefined : attributesOf(data).get(2);
  const parts = verdict === undefined ? undefined : attributesOf(verdict);
  const code = parts?.get(1);
  if (code === undefined || code.length < 4) return null;
  const names: Readonly<Record<number, string>> = { 0: 'drop', 1: 'accept', 3: 'queue', [-5]: 'return' };
  const number = code.readInt32BE(0);
  const chain = textOf(parts?.get(2));
  return number === -3 ? `jump ${chain}` : number === -4 ? `goto ${chain}` : (names[number] ?? '…');
}
