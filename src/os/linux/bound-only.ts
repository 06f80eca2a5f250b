/**
 * Bound sockets that do not listen. Linux 6.8 and later show them (TCPF_BOUND_INACTIVE); on older kernels no table lists them,
 * so they are what processes have open and no table knows.
 */
import type { InetEndpoint } from '../../model/endpoint.ts';
import type { ProcessIdentity } from '../../model/facts.ts';
import { isNativeError } from '../errors.ts';
import type { Processes } from '../os.ts';
import { libc } from './libc.ts';
import { type Conversation, littleEndian, viewOf } from './netlink.ts';
import { openSocketFinder } from './open-sockets.ts';
import { attempt, type Proc } from './proc.ts';
import { type DiagSocket, readSockets, stateBits } from './sock-diag.ts';
import { AF_INET, AF_INET6 } from './sockaddr.ts';
import { sockets } from './socket.ts';

const SOL_SOCKET = 1;
const SO_PROTOCOL = { level: SOL_SOCKET, name: 38 };
const SO_DOMAIN = { level: SOL_SOCKET, name: 39 };
const SO_COOKIE = { level: SOL_SOCKET, name: 57 };
const SO_ACCEPTCONN = { level: SOL_SOCKET, name: 30 };
const IPPROTO_TCP = 6;
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

/** What was found, and how many open sockets would not show their address. */
export interface Unlisted {
  readonly rows: readonly DiagSocket[];
  readonly hidden: number;
}

/**
 * TCP sockets bound to `port` that no table lists: every socket of every process that we may look into is compared with the tables,
 * and the few that are left are asked for their address through a copy of the descriptor.
 *
 * @param listed Inode numbers that a table knows.
 */
export function findUnlisted(
  proc: Proc,
  listed: ReadonlySet<number>,
  port: number,
  processes: Pick<Processes, 'open' | 'identify'>,
): Unlisted {
  const finder = openSocketFinder(proc);
  const unknown = new Map<number, { pid: number; descriptor: number }>();
  for (const pid of proc.pids())
    finder.sockets(pid, 'all', (inode, descriptor) => {
      if (!listed.has(inode) && !unknown.has(inode)) unknown.set(inode, { pid, descriptor });
    });
  const rows: DiagSocket[] = [];
  let hidden = 0;
  for (const [inode, { pid, descriptor }] of unknown) {
    const identity: ProcessIdentity | null = processes.identify(pid);
    const handle = identity === null ? null : processes.open(identity);
    if (handle === null) continue;
    try {
      const taken = handle.takeDescriptor(descriptor);
      if (taken.fd === null) {
        if (taken.why === 'EPERM') hidden++;
        continue;
      }
      try {
        // The number may stand for something else by now.
        const same = sockets.identity(taken.fd)?.inode === inode;
        const row = same ? describe(taken.fd, inode, port, proc, pid) : null;
        if (row !== null) rows.push(row);
      } finally {
        libc().close(taken.fd);
      }
    } finally {
      handle.close();
    }
  }
  return { rows, hidden };
}

/** Null unless it is a TCP socket that is bound to the port and does not listen. */
function describe(fd: number, inode: number, port: number, proc: Proc, pid: number): DiagSocket | null {
  // The descriptor may have been closed, and used for something else, since it was seen.
  if (sockets.identity(fd)?.inode !== inode) return null;
  const domain = number(fd, SO_DOMAIN);
  if (domain !== AF_INET && domain !== AF_INET6) return null;
  const protocol = number(fd, SO_PROTOCOL);
  if ((protocol !== IPPROTO_TCP && protocol !== IPPROTO_MPTCP) || number(fd, SO_ACCEPTCONN) !== 0) return null;
  const address = sockets.address(fd);
  if (address.protocol === 'unix' || address.port !== port) return null;
  const cookie = viewOf(sockets.getOption(fd, SO_COOKIE, 8)).getBigUint64(0, littleEndian);
  return {
    protocol: 'tcp',
    family: domain === AF_INET ? 4 : 6,
    state: 'BOUND',
    local: { address: address.address, port },
    remote: null,
    uid: attempt(() => proc.owner(`${pid}`)) ?? 0,
    inode,
    cookie: cookie.toString(16).padStart(16, '0'),
    mini: false,
    reuseAddress: null,
    reusePort: null,
    v6Only: domain === AF_INET ? false : null,
    deviceIndex: 0,
    autoPort: null,
    expiresInMs: null,
    queue: null,
    direction: null,
    cgroupId: null,
    mptcp: protocol === IPPROTO_MPTCP,
  };
}

function number(fd: number, option: { level: number; name: number }): number {
  return viewOf(sockets.getOption(fd, option, 4)).getInt32(0, littleEndian);
}
