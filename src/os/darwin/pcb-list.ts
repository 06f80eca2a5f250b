/**
 * `net.inet.tcp.pcblist_n` and `net.inet.udp.pcblist_n`: every socket of every user, TIME_WAIT included, the newest first, and after them
 * the flows of Network.framework that have no socket (bsd/netinet/in_pcblist.c, nstat_userland_list_snapshot of bsd/net/ntstat.c).
 */
import type { InetSocket, SocketState } from '../../model/facts.ts';
import { addressOf, familyOfSocket } from './addresses.ts';
import { LayoutError, type Read } from './layout.ts';
import { recordHead, xinpcbN, xinpgen, xsocketN, xtcpcbN } from './layouts.ts';
import {
  IN6P_IPV6_V6ONLY,
  INP_ANONPORT,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOF_REUSESHAREUID,
  SS_COMP,
  SS_INCOMP,
  SS_NOFDREF,
  XSO_INPCB,
  XSO_SOCKET,
  XSO_TCPCB,
} from './numbers.ts';

/** What belongs to one socket. */
export interface Pcb {
  readonly inpcb: Read<typeof xinpcbN.fields>;
  readonly socket: Read<typeof xsocketN.fields>;
  /** Null for UDP. */
  readonly tcp: Read<typeof xtcpcbN.fields> | null;
}

/** Since macOS 13 so_flags are shown. */
const firstWithFlags = 22;

/**
 * The records, walked by their lengths.
 *
 * @param darwin The major version of Darwin.
 * @throws {LayoutError} when a record has another size than in that release, or the list is cut.
 */
export function readPcbList(bytes: Buffer, darwin: number): Pcb[] {
  const head = xinpgen.of(darwin);
  const start = head.read(bytes);
  if (start.xig_len !== head.size) throw new LayoutError(`xinpgen has ${head.size} bytes, and says ${start.xig_len}`);
  const record = recordHead.of(darwin);
  const pcbs: Pcb[] = [];
  let inpcb: Pcb['inpcb'] | null = null;
  let socket: Pcb['socket'] | null = null;
  let tcp: Pcb['tcp'] = null;
  const finish = (): void => {
    // One that came while the list was made.
    if (inpcb !== null && socket !== null && inpcb.inp_gencnt <= start.xig_gen) pcbs.push({ inpcb, socket, tcp });
    inpcb = null;
    socket = null;
    tcp = null;
  };
  for (let at = start.xig_len; ; ) {
    // A list without sockets is its head alone.
    if (at === bytes.length && start.xig_count === 0) break;
    const { len, kind } = record.read(bytes, at);
    // The second head.
    if (len <= head.size) break;
    if (at + len > bytes.length) throw new LayoutError(`The list of sockets is cut at ${bytes.length} bytes`);
    if (kind === XSO_INPCB) {
      finish();
      inpcb = sized(xinpcbN.of(darwin), len).read(bytes, at);
    } else if (kind === XSO_SOCKET) socket = sized(xsocketN.of(darwin), len).read(bytes, at);
    else if (kind === XSO_TCPCB) tcp = sized(xtcpcbN.of(darwin), len).read(bytes, at);
    at += (len + 7) & ~7;
  }
  finish();
  return pcbs;
}

function sized<L extends { readonly name: string; readonly size: number }>(layout: L, size: number): L {
  if (layout.size !== size)
    throw new LayoutError(`${layout.name} has ${layout.size} bytes in the releases that are known, and ${size} here`);
  return layout;
}

/** tcp_fsm.h, by number. A closed socket that has a port is bound. */
const tcpStates: readonly SocketState[] = [
  'BOUND',
  'LISTEN',
  'SYN_SENT',
  'SYN_RECV',
  'ESTABLISHED',
  'CLOSE_WAIT',
  'FIN_WAIT1',
  'CLOSING',
  'LAST_ACK',
  'FIN_WAIT2',
  'TIME_WAIT',
];

/** How long a TIME_WAIT lasts still, by its timer; null when that cannot be told. */
export type TimeLeft = (timer: number) => number | null;

/** The sockets that have a port. Their order is that of the kernel. */
export function inetSockets(
  pcbs: readonly Pcb[],
  protocol: 'tcp' | 'udp',
  darwin: number,
  timeLeft: TimeLeft,
): InetSocket[] {
  const listening = new Set(pcbs.filter(({ tcp }) => tcp?.t_state === 1).map(({ inpcb: { inp_lport: port } }) => port));
  return pcbs
    .filter(({ inpcb }) => inpcb.inp_lport !== 0)
    .map((pcb) => inetSocket(pcb, protocol, darwin, listening, timeLeft));
}

function inetSocket(
  { inpcb, socket, tcp }: Pcb,
  protocol: 'tcp' | 'udp',
  darwin: number,
  listening: ReadonlySet<number>,
  timeLeft: TimeLeft,
): InetSocket {
  const vflag = inpcb.inp_vflag;
  const family = familyOfSocket(socket.xso_family, vflag);
  const port = inpcb.inp_lport;
  const isConnected = inpcb.inp_fport !== 0;
  const state =
    protocol === 'udp' ? (isConnected ? 'ESTABLISHED' : 'BOUND') : (tcpStates[tcp?.t_state ?? 0] ?? 'BOUND');
  const userSpace = inpcb.xi_inpp === 0n && socket.xso_so === 0n;
  const isAutomatic = (inpcb.inp_flags & INP_ANONPORT) !== 0;
  const isConnection = protocol === 'tcp' && state !== 'LISTEN' && state !== 'BOUND';
  return {
    protocol,
    family,
    state,
    local: { address: addressOf(inpcb.inp_dependladdr, family, vflag), port },
    remote: isConnected ? { address: addressOf(inpcb.inp_dependfaddr, family, vflag), port: inpcb.inp_fport } : null,
    uid: socket.so_uid,
    inode: userSpace
      ? flowId(socket.so_last_pid, port)
      : isOwned(socket.so_state)
        ? socketId(protocol, inpcb.inp_gencnt)
        : 0,
    reuseAddress: userSpace ? null : (socket.so_options & SO_REUSEADDR) !== 0,
    reusePort: userSpace ? null : (socket.so_options & SO_REUSEPORT) !== 0,
    v6Only: family === 6 && (inpcb.inp_flags & IN6P_IPV6_V6ONLY) !== 0,
    device: null,
    // A connection that was accepted has its listener's port, which says nothing of who chose it.
    autoPort: isConnection && !isAutomatic ? null : isAutomatic,
    expiresInMs: state === 'TIME_WAIT' && tcp !== null ? timeLeft(tcp.t_timer_2msl) : null,
    queue: state === 'LISTEN' ? { waiting: socket.so_qlen, limit: socket.so_qlimit } : null,
    direction: isConnection ? directionOf(isAutomatic, listening.has(port)) : null,
    darwin: {
      lastPid: Math.max(0, socket.so_last_pid),
      sharesUsers: darwin < firstWithFlags ? null : (socket.so_flags & SOF_REUSESHAREUID) !== 0,
      userSpace,
    },
  };
}

/** A port that the kernel chose and on which nobody listens is a client's; a fixed port of a listener is the listener's. */
function directionOf(isAutomatic: boolean, hasListener: boolean): InetSocket['direction'] {
  if (isAutomatic === hasListener) return null;
  return isAutomatic ? 'outgoing' : 'incoming';
}

/** No descriptor has what is left of a connection, nor one that nobody has accepted. */
function isOwned(state: number): boolean {
  return (state & (SS_NOFDREF | SS_COMP | SS_INCOMP)) === 0;
}

/** inp_gencnt counts the sockets of one protocol since boot, and no number is used twice. */
export function socketId(protocol: 'tcp' | 'udp' | 'unix', generation: bigint): number {
  return Number(generation & 0x3ffffffffffffn) * 4 + { tcp: 0, udp: 1, unix: 2 }[protocol];
}

/** A flow without a socket is known by its process and port. */
function flowId(pid: number, port: number): number {
  return (Math.max(0, pid) * 65_536 + port) * 4 + 3;
}
