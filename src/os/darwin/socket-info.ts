/**
 * What `proc_pidfdinfo` and `proc_pidfileportinfo` tell of a socket that a process has open (fill_socketinfo of bsd/kern/socket_info.c).
 */
import { addressOf, familyOfSocket } from './addresses.ts';
import { type Read, textIn } from './layout.ts';
import { socketFdinfo } from './layouts.ts';
import { IPPROTO_UDP, SO_ACCEPTCONN, SOCKINFO_IN, SOCKINFO_TCP, SOCKINFO_UN } from './numbers.ts';
import { socketId } from './pcb-list.ts';

/** A socket of a process, as far as it is needed to find it in the lists. */
export interface OpenSocket {
  readonly protocol: 'tcp' | 'udp' | 'unix';
  readonly id: number;
  /** The kernel's name for it, hashed at each boot. */
  readonly so: bigint;
  readonly isListening: boolean;
  readonly local: { readonly address: string; readonly port: number };
  readonly queue: { readonly waiting: number; readonly limit: number };
}

/** Null for what is no TCP, UDP or Unix socket. */
export function openSocketOf(info: Read<typeof socketFdinfo.fields>): OpenSocket | null {
  const isListening = (info.soi_options & SO_ACCEPTCONN) !== 0;
  const queue = { waiting: info.soi_qlen, limit: info.soi_qlimit };
  const { soi_so: so } = info;
  if (info.soi_kind === SOCKINFO_UN) {
    const address = textIn(info.sun_path.subarray(0, Math.max(0, info.sun_len - 2)));
    // Unix sockets have no count: the name of the socket itself has to do, as long as it lives.
    return { protocol: 'unix', id: unixId(so), so, isListening, local: { address, port: 0 }, queue };
  }
  if (info.soi_kind !== SOCKINFO_TCP && info.soi_kind !== SOCKINFO_IN) return null;
  const protocol = info.soi_kind === SOCKINFO_TCP ? 'tcp' : 'udp';
  if (protocol === 'udp' && info.soi_protocol !== IPPROTO_UDP) return null;
  const family = familyOfSocket(info.soi_family, info.insi_vflag);
  const local = { address: addressOf(info.insi_laddr, family, info.insi_vflag), port: info.insi_lport };
  return { protocol, id: socketId(protocol, info.insi_gencnt), so, isListening, local, queue };
}

/** As `openSocketOf`, of the bytes. @throws {LayoutError} */
export function decodeSocketInfo(bytes: Buffer, darwin: number): OpenSocket | null {
  return openSocketOf(socketFdinfo.of(darwin).read(bytes));
}

/** 51 bits of the hashed address of a Unix socket, with the two of the protocol. */
export function unixId(so: bigint): number {
  return socketId('unix', (so ^ (so >> 32n)) & 0x3ffffffffffffn);
}
