/**
 * Bound sockets that do not listen. Linux 6.8 and later show them (TCPF_BOUND_INACTIVE); on older kernels no table lists them,
 * so they are what processes have open and no table knows.
 */
import { fstatSync } from 'node:fs';
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { ProcessIdentity } from '../../../model/facts.ts';
import { littleEndian } from '../../byte-order.ts';
import { isNativeError } from '../../errors.ts';
import type { Processes } from '../../processes.ts';
import { type Conversation, viewOf } from '../netlink/netlink.ts';
import { type DiagSocket, readSockets, stateBits } from '../netlink/sock-diag.ts';
import { openSocketFinder } from '../proc/open-sockets.ts';
import { attempt, type Proc } from '../proc/proc.ts';
import { readFlags } from './hidden-flags.ts';
import { libc } from './libc.ts';
import { AF_INET, AF_INET6 } from './sockaddr.ts';
import { getNative, sockets } from './socket.ts';

const SOL_SOCKET = 1;
const SO_PROTOCOL = { level: SOL_SOCKET, name: 38 };
const SO_DOMAIN = { level: SOL_SOCKET, name: 39 };
const SO_COOKIE = { level: SOL_SOCKET, name: 57 };
const SO_ACCEPTCONN = { level: SOL_SOCKET, name: 30 };
const SO_BINDTOIFINDEX = { level: SOL_SOCKET, name: 62 };
const SO_NETNS_COOKIE = { level: SOL_SOCKET, name: 71 };
const IPPROTO_TCP = 6;
/** The first byte of struct tcp_info is the state. */
const TCP_INFO = { level: IPPROTO_TCP, name: 11 };
/** include/net/tcp_states.h */
const TCP_CLOSE = 7;
const IPPROTO_MPTCP = 262;

let shown: boolean | undefined;

/**
 * Where a socket is bound to be looked for, one after the other until a bind works: port 0 fails when no automatic port is
 * left, and the loopback may be down. The odd address is one that no server is likely to have.
 */
const trials: readonly InetEndpoint[] = [
  { protocol: 'tcp', address: '127.0.0.1', port: 0 },
  ...[0, 61_357, 29_431, 17_299, 9_463].map((port) => ({ protocol: 'tcp' as const, address: '127.83.79.67', port })),
  { protocol: 'tcp', address: '0.0.0.0', port: 0 },
];

/**
 * Does this kernel show bound sockets? Asked once: a socket is bound, looked for, and closed. SO_REUSEADDR keeps it from
 * standing in the way of a server that starts at the same moment.
 *
 * @throws {NativeError} when nothing could be bound, so that it is not known. @throws {NetlinkError}
 */
export function kernelShowsBoundSockets(conversation: Conversation): boolean {
  if (shown !== undefined) return shown;
  const fd = sockets.open('tcp', 4);
  try {
    sockets.setReuseAddress(fd, true);
    bindSomewhere(fd);
    const address = sockets.address(fd);
    const port = address.protocol === 'unix' ? null : address.port;
    const { rows } = readSockets(conversation, { protocol: 'tcp', states: stateBits.BOUND_INACTIVE, port });
    shown = rows.length > 0;
    return shown;
  } finally {
    sockets.close(fd);
  }
}

/** @throws {NativeError} of the last trial. */
function bindSomewhere(fd: number): void {
  for (const [index, endpoint] of trials.entries()) {
    try {
      sockets.bind(fd, endpoint);
      return;
    } catch (error) {
      const elsewhere = isNativeError(error) && (error.code === 'EADDRINUSE' || error.code === 'EADDRNOTAVAIL');
      if (!elsewhere || index === trials.length - 1) throw error;
    }
  }
}

/** A row of state BOUND in a dump is proof; nobody needs to ask any more. */
export function noteBoundSocketSeen(): void {
  shown = true;
}

/** What was found, and how many processes and sockets would not show what they are. */
export interface Unlisted {
  readonly rows: readonly DiagSocket[];
  readonly hidden: number;
}

/**
 * TCP sockets bound to `port` that no table lists: every socket of every process that we may look into is compared with the tables,
 * and the few that are left are asked for their address through a copy of the descriptor.
 *
 * @param listed Inode numbers that a table knows.
 * @param port Null asks for every port.
 */
export function findUnlisted(
  proc: Proc,
  listed: ReadonlySet<number>,
  port: number | null,
  processes: Pick<Processes, 'open' | 'identify'>,
): Unlisted {
  const finder = openSocketFinder(proc);
  const unknown = new Map<number, { pid: number; descriptor: number }>();
  let hidden = 0;
  for (const pid of proc.pids()) {
    const look = finder.sockets(`${pid}`, 'all', (inode, descriptor) => {
      if (!listed.has(inode) && !unknown.has(inode)) unknown.set(inode, { pid, descriptor });
    });
    if (look === 'denied') hidden++;
  }
  const isHere = sameNetwork(proc);
  const rows: DiagSocket[] = [];
  for (const [inode, { pid, descriptor }] of unknown) {
    const identity: ProcessIdentity | null = processes.identify(pid);
    const handle = identity === null ? null : processes.open(identity);
    if (handle === null) continue;
    try {
      const taken = handle.takeDescriptor(descriptor);
      if (taken.fd === null) {
        // Not when the process or its descriptor is gone. Before Linux 5.6 there are no copies (ENOSYS).
        if (taken.why === 'EPERM' || taken.why === 'ENOSYS') hidden++;
        continue;
      }
      try {
        const row = describe(taken.fd, inode, port);
        if (row !== null && isHere(taken.fd, pid)) rows.push(row);
      } finally {
        libc().close(taken.fd);
      }
    } finally {
      handle.close();
    }
  }
  return { rows, hidden };
}

/** Null unless it is a TCP socket that is bound to the port, and neither listens nor is connected. */
function describe(fd: number, inode: number, port: number | null): DiagSocket | null {
  // The descriptor may have been closed, and used for something else, since it was seen.
  const stat = fstatSync(fd);
  if (!stat.isSocket() || stat.ino !== inode) return null;
  const domain = number(fd, SO_DOMAIN);
  if (domain !== AF_INET && domain !== AF_INET6) return null;
  const protocol = number(fd, SO_PROTOCOL);
  if ((protocol !== IPPROTO_TCP && protocol !== IPPROTO_MPTCP) || number(fd, SO_ACCEPTCONN) !== 0) return null;
  const local = sockets.address(fd);
  if (local.protocol === 'unix' || local.port === 0 || (port !== null && local.port !== port)) return null;
  // A connection that was made after the tables were read is none.
  if (!isClosed(fd)) return null;
  const cookie = viewOf(getNative(fd, SO_COOKIE, 8)).getBigUint64(0, littleEndian);
  const flags = readFlags(fd, domain === AF_INET ? 4 : 6);
  return {
    protocol: 'tcp',
    family: domain === AF_INET ? 4 : 6,
    state: 'BOUND',
    local: { address: local.address, port: local.port },
    remote: null,
    // The owner of a socket's inode is the user that its bind rules know (sock_i_uid).
    uid: stat.uid,
    inode,
    reuseAddress: flags?.reuseAddress ?? null,
    reusePort: flags?.reusePort ?? null,
    v6Only: flags?.v6Only ?? null,
    deviceIndex: number(fd, SO_BINDTOIFINDEX),
    autoPort: null,
    expiresInMs: null,
    queue: null,
    direction: null,
    linux: {
      cookie: cookie.toString(16).padStart(16, '0'),
      mini: false,
      cgroupId: null,
      mptcp: protocol === IPPROTO_MPTCP,
    },
  };
}

/** Where TCP does not tell, which is so for Multipath TCP of older kernels, it is taken to be closed. */
function isClosed(fd: number): boolean {
  try {
    return getNative(fd, TCP_INFO, 1)[0] === TCP_CLOSE;
  } catch (error) {
    if (isNativeError(error)) return true;
    throw error;
  }
}

/**
 * Tells whether a socket is in the network namespace of this process: those of containers are in no table of ours either.
 * Before Linux 5.14 (SO_NETNS_COOKIE) it is taken to be in that of its process.
 */
function sameNetwork(proc: Proc): (fd: number, pid: number) => boolean {
  const own = sockets.open('tcp', 4);
  const ours = networkOf(own);
  sockets.close(own);
  const ourLink = attempt(() => proc.link('self/ns/net'));
  return (fd, pid) => (ours === null ? attempt(() => proc.link(`${pid}/ns/net`)) === ourLink : networkOf(fd) === ours);
}

function networkOf(fd: number): bigint | null {
  try {
    return viewOf(getNative(fd, SO_NETNS_COOKIE, 8)).getBigUint64(0, littleEndian);
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  }
}

function number(fd: number, option: { level: number; name: number }): number {
  return viewOf(getNative(fd, option, 4)).getInt32(0, littleEndian);
}
