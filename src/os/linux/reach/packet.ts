/**
 * A packet of ours as the rules of a firewall look at it, as far as it is known before it is sent.
 */
import type { Address } from '../../../model/facts.ts';
import { addressBytes } from '../calls/sockaddr.ts';
import type { Hook } from '../netlink/nftables.ts';

export interface Packet {
  readonly hook: Hook;
  readonly family: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  /** An empty address, or port 0, is not known. */
  readonly from: Address;
  readonly to: Address;
  /** Interfaces by name, where the hook has one; null where it is not known. */
  readonly input: string | null;
  readonly output: string | null;
  /** True for the first packet of a connection, false for its answer. */
  readonly isFirst: boolean;
  /** Whether the destination is this machine. */
  readonly isLocal: boolean;
}

export const protocolNumbers = { tcp: 6, udp: 17 } as const;

/** The bytes of its IP header from `offset`, or null where one of them is not known. */
export function networkBytes(packet: Packet, offset: number, length: number): Buffer | null {
  const { family, from, to, protocol } = packet;
  const number = protocolNumbers[protocol];
  const header = Buffer.alloc(family === 4 ? 20 : 40);
  const isKnown = from.address !== '';
  const known = family === 4 ? [span(9, 10), span(isKnown ? 12 : 16, 20)] : [span(6, 7), span(isKnown ? 8 : 24, 40)];
  header[family === 4 ? 9 : 6] = number;
  if (isKnown) addressBytes(from.address).copy(header, family === 4 ? 12 : 8);
  addressBytes(to.address).copy(header, family === 4 ? 16 : 24);
  return cut(header, known, offset, length);
}

/** The same of its TCP or UDP header. Port 0 is one that is not known. */
export function transportBytes({ from, to }: Packet, offset: number, length: number): Buffer | null {
  const header = Buffer.alloc(4);
  header.writeUInt16BE(from.port, 0);
  header.writeUInt16BE(to.port, 2);
  return cut(header, [span(from.port === 0 ? 2 : 0, to.port === 0 ? 2 : 4)], offset, length);
}

type Span = readonly [number, number];
const span = (first: number, end: number): Span => [first, end];

function cut(header: Buffer, known: readonly Span[], offset: number, length: number): Buffer | null {
  const end = offset + length;
  return known.some(([first, last]) => offset >= first && end <= last) ? header.subarray(offset, end) : null;
}
