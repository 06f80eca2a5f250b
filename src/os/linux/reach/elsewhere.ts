/**
 * Listeners on a port in other network namespaces: of containers, of units with PrivateNetwork=. Their tables are shown through any process that
 * is in there (proc_pid_net(5)), also to a user who may not look into that process. A namespace without a process, held by a mount or a descriptor
 * alone, is not found.
 */

import { closeSync, openSync, readSync, statSync } from 'node:fs';
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import type { ElsewhereListener } from '../../../model/reach/evidence.ts';
import { readPasswd } from '../asker.ts';
import { inNetworkOf } from '../calls/network-namespace.ts';
import { readMeasured } from '../netlink/measured.ts';
import { type DiagSocket, stateBits } from '../netlink/sock-diag.ts';
import { openSocketFinder } from '../proc/open-sockets.ts';
import { attempt, openProc, type Proc } from '../proc/proc.ts';
import { readProcAddresses } from '../proc/proc-addresses.ts';
import { parseTable } from '../proc/proc-net.ts';
import { type Describer, openDescriber } from '../proc/process.ts';
import { ask } from './port-sockets.ts';

/** What this look may take of a processor; a machine with thousands of containers needs more. */
const mostMs = 120;
/** Processes of one namespace that are looked into for the one that listens. */
const mostMembers = 64;
const chunkSize = 65_536;
/** The listeners of a table come first; these many bytes of them are 8,000 listeners. */
const mostBytes = 1_228_800;

/** Null when no process can be listed. */
export function readElsewhere(proc: Proc, to: InetEndpoint, gaps: Gap[]): readonly ElsewhereListener[] | null {
  const began = process.cpuUsage();
  const pids = attempt(() => proc.pids());
  if (pids === null) {
    gaps.push({
      what: 'Whether the port is open in another network namespace cannot be seen',
      why: 'ENOENT',
      hint: 'Mount /proc, or run it outside of the sandbox',
    });
    return null;
  }
  const own = tableId(proc, 'self');
  const describer = openDescriber(proc, readPasswd);
  const found: ElsewhereListener[] = [];
  const namespaces = new Map<number, number[]>();
  for (const pid of pids) {
    const id = tableId(proc, `${pid}`);
    if (id === null || id === own) continue;
    const members = namespaces.get(id);
    if (members === undefined) namespaces.set(id, [pid]);
    else members.push(pid);
  }
  for (const members of namespaces.values()) {
    const { user, system } = process.cpuUsage(began);
    if ((user + system) / 1000 > mostMs) {
      gaps.push({
        what: 'Not every network namespace was looked into for the port',
        why: 'ETIMEDOUT',
        hint: 'This machine has very many of them; run rebind inside the one in question',
      });
      break;
    }
    found.push(...listenersIn(proc, members, to, describer));
  }
  return found;
}

/** A number of the namespace that any user may read: that of its own table of sockets (proc_alloc_inum in fs/proc/generic.c), one for all processes in it. */
function tableId(proc: Proc, process: string): number | null {
  return statSync(`${proc.root}/${process}/net/tcp`, { throwIfNoEntry: false })?.ino ?? null;
}

function listenersIn(
  proc: Proc,
  members: readonly number[],
  { protocol, port }: InetEndpoint,
  describer: Describer,
): ElsewhereListener[] {
  const [first] = members;
  if (first === undefined) return [];
  const rows = fromInside(proc, first, protocol, port) ?? fromTables(proc, first, protocol, port);
  if (rows.length === 0) return [];
  const [users, ownUsers] = [first, 'self'].map((pid) => attempt(() => proc.link(`${pid}/ns/user`)));
  const otherUsers = users != null && ownUsers != null && users !== ownUsers;
  const inside = openProc(`${proc.root}/${first}`);
  const addresses = readProcAddresses(inside)
    .map(({ address }) => address)
    .filter((address) => !address.startsWith('127.') && address !== '::1');
  const holders = membersWith(proc, members, new Set(rows.map(({ inode }) => inode)));
  return rows.flatMap(({ inode, local }) => {
    const description = describer.describe(holders.get(inode) ?? first);
    if (description === null) return [];
    const { pid, started, command, container, unit } = description;
    return [
      {
        protocol,
        local,
        inode,
        namespace: namespaceId(proc, first),
        process: { pid, started, command, container, unit },
        addresses,
        otherUsers,
      },
    ];
  });
}

/** Null where the process may not be traced. */
function namespaceId(proc: Proc, pid: number): number | null {
  const link = attempt(() => proc.link(`${pid}/ns/net`));
  const digits = /^net:\[(\d{1,15})\]$/.exec(link ?? '')?.[1];
  return digits === undefined ? null : Number(digits);
}

/** Which of them has each socket open, as far as we may look. */
function membersWith(proc: Proc, members: readonly number[], wanted: ReadonlySet<number>): ReadonlyMap<number, number> {
  const finder = openSocketFinder(proc);
  const found = new Map<number, number>();
  for (const pid of members.slice(0, mostMembers)) {
    if (found.size === wanted.size) break;
    finder.sockets(`${pid}`, 'all', (inode) => {
      if (wanted.has(inode) && !found.has(inode)) found.set(inode, pid);
    });
  }
  return found;
}

type Row = Pick<DiagSocket, 'local' | 'inode'>;

/** Asked by netlink in the namespace itself; null where this process may not go there, or is not answered. */
function fromInside(proc: Proc, pid: number, protocol: 'tcp' | 'udp', port: number): Row[] | null {
  const states = protocol === 'tcp' ? stateBits.LISTEN : stateBits.CLOSE;
  const refused: Gap[] = [];
  const look = inNetworkOf(proc.root, pid, () =>
    ask(refused, '', (kernel) => readMeasured(kernel, { protocol, states, port })),
  );
  return look?.result?.map(({ socket }) => socket) ?? null;
}

/** From the tables in /proc: of TCP the listeners, of UDP the sockets without a peer. */
function fromTables(proc: Proc, pid: number, protocol: 'tcp' | 'udp', port: number): Row[] {
  const state = protocol === 'tcp' ? 'LISTEN' : 'BOUND';
  return ['', '6'].flatMap((version) => {
    const counts = attempt(() => proc.text(`${pid}/net/sockstat${version}`)) ?? '';
    if (new RegExp(`^${protocol.toUpperCase()}${version}: inuse 0\\b`, 'm').test(counts)) return [];
    const table = readHead(`${proc.root}/${pid}/net/${protocol}${version}`, protocol === 'tcp');
    return parseTable(table, protocol, port).rows.filter((row) => row.state === state);
  });
}

/** The rows of a TCP table that are not listeners come behind (net/ipv4/tcp_ipv4.c, tcp_get_idx), and there may be 100,000: they are not read. */
function readHead(file: string, listenersOnly: boolean): Buffer {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    // It is gone, or this kernel has no IPv6.
    return Buffer.alloc(0);
  }
  try {
    const parts: Buffer[] = [];
    for (let size = 0; size < mostBytes; ) {
      const part = Buffer.allocUnsafe(chunkSize);
      const got = readSync(fd, part, 0, chunkSize, null);
      if (got === 0) break;
      size += got;
      parts.push(part.subarray(0, got));
      if (listenersOnly && hasOthers(part.toString('latin1', 0, got))) break;
    }
    return Buffer.concat(parts);
  } catch {
    // The process exited while its table was read.
    return Buffer.alloc(0);
  } finally {
    closeSync(fd);
  }
}

/** A row whose state is not 0A (LISTEN). */
function hasOthers(text: string): boolean {
  return /:[0-9A-F]{4} (?!0A)[0-9A-F]{2} [0-9A-F]{8}:[0-9A-F]{8} /.test(text);
}
