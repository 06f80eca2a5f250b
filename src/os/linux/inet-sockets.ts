/**
 * TCP and UDP sockets of a port, or all that wait for somebody: from the kernel by netlink, and where that is missing from /proc/net.
 */
import type { Gap, InetSocket } from '../../model/facts.ts';
import { isNativeError, isUnsupportedError } from '../errors.ts';
import { findUnlisted, kernelShowsBoundSockets, noteBoundSocketSeen } from './calls/bound-only.ts';
import { processes } from './calls/pidfd.ts';
import { deviceName } from './calls/sockaddr.ts';
import { type Conversation, NetlinkError } from './netlink/netlink.ts';
import { type DiagQuery, type DiagSocket, readSockets, stateBits } from './netlink/sock-diag.ts';
import { readUnixInodes } from './netlink/unix-diag.ts';
import { hidesProcesses } from './proc/gaps.ts';
import { type Proc, ProcError } from './proc/proc.ts';
import { isLinkLocal } from './proc/proc-addresses.ts';
import { readProcNet } from './proc/proc-net.ts';

type Protocol = 'tcp' | 'udp';

/** Where sockets are read from. */
export interface Source {
  readonly proc: Proc;
  /** A conversation with the kernel's sock_diag. @throws {NativeError} @throws {UnsupportedError} */
  converse<T>(use: (conversation: Conversation) => T): T;
}

/** Every socket with this local port. What could not be seen is added to `gaps`. */
export function readPort(source: Source, port: number, gaps: Gap[]): InetSocket[] {
  return read(source, port, stateBits.all, stateBits.all, gaps);
}

/** Every listening or bound TCP socket, and every UDP socket without a peer. */
export function readWaiting(source: Source, gaps: Gap[]): InetSocket[] {
  return read(source, null, stateBits.LISTEN | stateBits.BOUND_INACTIVE, stateBits.CLOSE, gaps);
}

/** Every TCP listener; what could not be seen is left out, because it only adds to what is known. */
export function readListeners(source: Source): InetSocket[] {
  return readProtocol(source, { protocol: 'tcp', states: stateBits.LISTEN, port: null }, []).map(withDevice);
}

function read(source: Source, port: number | null, tcpStates: number, udpStates: number, gaps: Gap[]): InetSocket[] {
  const tcp = readProtocol(source, { protocol: 'tcp', states: tcpStates, port }, gaps);
  const udp = readProtocol(source, { protocol: 'udp', states: udpStates, port }, gaps);
  return [...tcp, ...udp].map(withDevice);
}

function readProtocol(source: Source, query: DiagQuery, gaps: Gap[]): DiagSocket[] {
  try {
    return source.converse((conversation) => fromKernel(conversation, query, gaps));
  } catch (error) {
    const why = reasonOf(error);
    if (why === null) throw error;
    gaps.push({
      what: `The options of ${query.protocol.toUpperCase()} sockets${query.protocol === 'tcp' ? ', and sockets that are bound and do not listen,' : ''} cannot be read`,
      why,
      hint: isUnsupportedError(error)
        ? 'Install koffi with its binary for this platform'
        : 'The kernel module that shows sockets (sock_diag) is missing or forbidden here; run it outside of the sandbox',
    });
    return fromProcNet(source.proc, query, gaps);
  }
}

/** The errno, when the failure is one that /proc/net may make up for. */
function reasonOf(error: unknown): string | null {
  if (isNativeError(error)) return error.code;
  if (error instanceof NetlinkError) return error.message;
  if (isUnsupportedError(error)) return error.code;
  return null;
}

function fromKernel(conversation: Conversation, query: DiagQuery, gaps: Gap[]): DiagSocket[] {
  const all = readSockets(conversation, query);
  if (all.interrupted)
    gaps.push({
      what: `The list of ${query.protocol.toUpperCase()} sockets changed each time it was read`,
      why: 'NLM_F_DUMP_INTR',
      hint: 'Run it again when the machine is less busy',
    });
  if (all.rows.length === 0) return [];
  if (query.protocol === 'tcp' && all.rows.some(({ state }) => state === 'BOUND')) noteBoundSocketSeen();
  // The same question with one condition more: a socket in both answers has an automatic port.
  const automatic = readSockets(conversation, { ...query, states: statesOf(all.rows), automaticOnly: true });
  const cookies = new Set(automatic.rows.map(({ linux }) => linux.cookie));
  return all.rows.map((row) => ({ ...row, autoPort: cookies.has(row.linux.cookie) }));
}

/** Only the tables that had something are walked again. */
function statesOf(rows: readonly DiagSocket[]): number {
  const listening = rows.some(({ state }) => state === 'LISTEN') ? stateBits.LISTEN : 0;
  const bound = rows.some(({ state }) => state === 'BOUND') ? stateBits.CLOSE | stateBits.BOUND_INACTIVE : 0;
  const connected = rows.some(({ state }) => state !== 'LISTEN' && state !== 'BOUND')
    ? stateBits.all & ~(stateBits.LISTEN | stateBits.CLOSE | stateBits.BOUND_INACTIVE)
    : 0;
  return listening | bound | connected;
}

function fromProcNet(proc: Proc, { protocol, states, port }: DiagQuery, gaps: Gap[]): DiagSocket[] {
  try {
    const { rows, garbled, cut } = readProcNet(proc, protocol, port);
    if (garbled > 0 || cut)
      gaps.push({
        what: `${garbled > 0 ? `${garbled} lines of` : 'The end of'} /proc/net/${protocol} could not be read`,
        why: garbled > 0 ? 'EBADMSG' : 'EFBIG',
        hint: 'Sockets may be missing from this answer',
      });
    const wanted = (row: DiagSocket): boolean =>
      states === stateBits.all || row.state === (protocol === 'tcp' ? 'LISTEN' : 'BOUND');
    return rows.filter(wanted);
  } catch (error) {
    if (!(error instanceof ProcError)) throw error;
    gaps.push({
      what: `No ${protocol.toUpperCase()} socket can be seen`,
      why: error.code,
      hint: 'Mount /proc, or run it where netlink is allowed',
    });
    return [];
  }
}

/**
 * On a kernel that does not show bound sockets: those of this port, or of any, found through the processes that have them.
 * It looks into every process; for one port call it when a bind fails and nothing that was read explains it.
 */
export function readUnlisted(source: Source, port: number | null, gaps: Gap[]): InetSocket[] {
  const where = port === null ? 'a port' : `port ${port}`;
  try {
    return source.converse((conversation) => {
      if (kernelShowsBoundSockets(conversation)) return [];
      const { rows, hidden } = findUnlisted(source.proc, listedInodes(conversation), port, processes);
      if (hidden > 0 || (process.geteuid?.() !== 0 && hidesProcesses(source.proc)))
        gaps.push({
          what: `Whether a process of another user has bound ${where} without listening cannot be seen`,
          why: 'EACCES',
          hint:
            process.geteuid?.() === 0
              ? 'Run rebind as root on the host: here even root may not look into every process'
              : 'This kernel shows such sockets only to root: run it with sudo',
        });
      return rows.map(withDevice);
    });
  } catch (error) {
    const why = error instanceof ProcError ? error.code : reasonOf(error);
    if (why === null) throw error;
    gaps.push({
      what: `Whether more sockets are bound to ${where} without listening could not be told`,
      why,
      hint: 'Run it again with sudo: root may look into every process',
    });
    return [];
  }
}

function listedInodes(conversation: Conversation): Set<number> {
  const inodes = new Set<number>();
  for (const protocol of ['tcp', 'udp'] satisfies Protocol[])
    for (const { inode } of readSockets(conversation, { protocol, states: stateBits.all, port: null }).rows)
      inodes.add(inode);
  for (const inode of readUnixInodes(conversation)) inodes.add(inode);
  return inodes;
}

/** The name of the device instead of its number, and the zone of a link-local address, which is that device. */
export function withDevice({ deviceIndex, ...socket }: DiagSocket): InetSocket {
  if (deviceIndex === 0) return { ...socket, device: null };
  const device = deviceName(deviceIndex);
  const zoned = <A extends { address: string }>(at: A): A =>
    isLinkLocal(at.address) ? { ...at, address: `${at.address}%${device}` } : at;
  return {
    ...socket,
    device,
    local: zoned(socket.local),
    remote: socket.remote === null ? null : zoned(socket.remote),
  };
}
