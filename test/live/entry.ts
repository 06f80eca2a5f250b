/** One real socket and what is known of it: the test's own books, kept apart from anything that rebind reads. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { SocketState } from '../../src/model/facts.ts';
import type { Known } from '../../src/model/rules/linux-conflict.ts';
import type { Binder } from '../../src/model/rules/rules.ts';
import { linux } from '../../src/os/linux/index.ts';

const { sockets } = linux;

export interface Entry {
  /** Null once closed, while the kernel still has something of it. */
  fd: number | null;
  readonly inode: number;
  readonly protocol: 'tcp' | 'udp';
  readonly family: 4 | 6;
  /** Where it is bound now: a connection moves from the wildcard to its address. */
  address: string;
  readonly port: number;
  reuseAddress: boolean;
  reusePort: boolean;
  readonly v6Only: boolean;
  readonly device: string | null;
  /** Up to Linux 6.16 what is left of a closed socket counts as root's (sock_i_uid). */
  uid: number;
  state: SocketState;
  mini: boolean;
  /** The other end of a connection, null when it is closed or there is none. */
  peer: number | null;
  remotePort: number | null;
}

export function asBinder(entry: Entry): Binder {
  const { protocol, family, address, reuseAddress, reusePort, v6Only, device, uid } = entry;
  return { protocol, family, address, reuseAddress, reusePort, v6Only, device, uid };
}

export function asKnown(entry: Entry): Known {
  const { family, state, address, port, uid, mini, reuseAddress, reusePort, v6Only, device } = entry;
  return {
    family,
    state,
    local: { address, port },
    uid: mini ? 0 : uid,
    linux: { cookie: null, mini, cgroupId: null, mptcp: false },
    reuseAddress,
    reusePort,
    v6Only,
    device,
  };
}

export function boundPort(fd: number): number {
  const bound = sockets.address(fd);
  if (bound.protocol === 'unix') throw new Error('not an internet socket');
  return bound.port;
}

export function boundAddress(fd: number): string {
  const bound = sockets.address(fd);
  if (bound.protocol === 'unix') throw new Error('not an internet socket');
  return bound.address;
}

// include/net/tcp_states.h, as /proc/net/tcp writes them
const stateNumbers: Record<string, SocketState> = {
  '01': 'ESTABLISHED',
  '04': 'FIN_WAIT1',
  '05': 'FIN_WAIT2',
  '06': 'TIME_WAIT',
  '08': 'CLOSE_WAIT',
  '09': 'LAST_ACK',
  '0B': 'CLOSING',
};

/**
 * Brings closed sockets of this port up to date from /proc/net/tcp, and drops those that the kernel let go. Waits while a
 * connection is on its way to a state that lasts: an acknowledgement may come 40 ms late.
 */
export async function settle(entries: Entry[]): Promise<void> {
  for (let look = 0; look < 500; look++) {
    if (refresh(entries)) return;
    await delay(2);
  }
  throw new Error('A closed connection does not come to rest');
}

/** True when every closed socket is in a state that lasts. */
function refresh(entries: Entry[]): boolean {
  const closed = entries.filter((entry) => entry.fd === null);
  if (closed.length === 0) return true;
  const lines = ['tcp', 'tcp6'].flatMap((name) =>
    readFileSync(`/proc/self/net/${name}`, 'latin1').split('\n').slice(1),
  );
  const now = new Map<string, { state: SocketState; mini: boolean; uid: number }>();
  for (const line of lines) {
    const [, local = '', remote = '', number = '', , timer = '', , uid = ''] = line.trim().split(/\s+/);
    const state = stateNumbers[number];
    if (state === undefined) continue;
    // A FIN_WAIT2 that nobody owns is a mini socket as a rule, but not when the acknowledgement came while it was closed.
    now.set(`${portOf(local)} ${portOf(remote)}`, { state, mini: timer.startsWith('03:'), uid: Number(uid) });
  }
  for (const entry of closed) {
    const found = now.get(`${entry.port} ${entry.remotePort}`);
    if (found === undefined) entries.splice(entries.indexOf(entry), 1);
    else Object.assign(entry, found);
  }
  return closed.every(
    (entry) => entry.state === 'TIME_WAIT' || entry.state === 'FIN_WAIT2' || !entries.includes(entry),
  );
}

function portOf(field: string): number {
  return Number.parseInt(field.slice(field.indexOf(':') + 1), 16);
}
