/**
 * Who has these sockets open, described.
 */
import type { Gap, Holder, HolderSearch, Socket } from '../../model/facts.ts';
import { findHolders, type WantedSocket } from './proc/holders.ts';
import { placeOf } from './proc/living-thread.ts';
import { inodeOf } from './proc/open-sockets.ts';
import { attempt, isGone, type Proc, ProcError } from './proc/proc.ts';
import type { Describer } from './proc/process.ts';
import { accepts } from './proc/waiting.ts';

/** Holders of one listener that are asked whether they accept. */
const mostAccepting = 64;

export interface FoundHolders {
  readonly holders: Map<number, Holder[]>;
  /** Why processes may hold one of these sockets and are not listed; null when every process was looked into. */
  readonly unseen: string | null;
}

/** @param needed Is this socket worth a long search? */
export function readHolders(
  proc: Proc,
  describer: Describer,
  sockets: readonly Socket[],
  needed: (socket: Socket) => boolean,
  reach: HolderSearch,
  gaps: Gap[],
): FoundHolders {
  const holders = new Map<number, Holder[]>();
  const wanted = wantedOf(sockets, needed);
  if (reach === 'none' || wanted.length === 0) return { holders, unseen: null };
  if (!isOurProc(proc)) {
    gaps.push({
      what: 'No process can be named: /proc does not show this process by its own number',
      why: 'ENOENT',
      hint: 'Mount the /proc of this pid namespace',
    });
    return { holders, unseen: 'ENOENT' };
  }
  const search = findHolders(proc, wanted, reach);
  let { unseen } = search;
  const listeners = new Set(sockets.filter(({ state }) => state === 'LISTEN').map(({ inode }) => inode));
  for (const [inode, byPid] of search.found) {
    const list: Holder[] = [];
    for (const [pid, descriptors] of [...byPid].sort(([a], [b]) => a - b)) {
      const asked = listeners.has(inode) && list.length < mostAccepting;
      const holder = describeHolder(proc, describer, pid, inode, descriptors, asked);
      if (holder !== null) list.push(holder);
    }
    if (list.length > 0) holders.set(inode, list);
    else if (byPid.size > 0) unseen ??= whyNotRead(proc, [...byPid.keys()]);
  }
  return { holders, unseen };
}

/** Those that had it when they were found exited since, or cannot be described. */
function whyNotRead(proc: Proc, pids: readonly number[]): string {
  for (const pid of pids) {
    try {
      proc.text(`${pid}/stat`);
    } catch (error) {
      if (!(error instanceof ProcError)) throw error;
      if (!isGone(error.code)) return error.code;
    }
  }
  return 'ESRCH';
}

/** Each inode once, with what the kernel says of its maker. */
function wantedOf(sockets: readonly Socket[], needed: (socket: Socket) => boolean): WantedSocket[] {
  const byInode = new Map<number, WantedSocket>();
  for (const socket of sockets) {
    const { inode, uid } = socket;
    const cgroupId = socket.protocol === 'unix' ? null : (socket.linux?.cgroupId ?? null);
    if (inode === 0 || byInode.get(inode)?.needed) continue;
    byInode.set(inode, { inode, uid, cgroupId, needed: needed(socket) });
  }
  return [...byInode.values()];
}

/** Null when the process let go of the socket, or ended, since it was found. Its number may belong to another one by now. */
function describeHolder(
  proc: Proc,
  describer: Describer,
  pid: number,
  inode: number,
  descriptors: readonly number[],
  asksAccepts: boolean,
): Holder | null {
  const description = describer.describe(pid);
  if (description === null) return null;
  const place = placeOf(proc, pid, describer.stat(pid)?.state);
  const still = descriptors.filter((fd) => inodeOf(attempt(() => proc.link(`${place}/fd/${fd}`)) ?? '') === inode);
  if (still.length === 0) return null;
  const taken = asksAccepts ? accepts(proc, { pid, place }, inode, still) : null;
  return { ...description, descriptors: still, accepts: taken };
}

/** In a new pid namespace with the old /proc, numbers mean other processes than ours: naming one would be a lie. */
function isOurProc(proc: Proc): boolean {
  return proc.root !== '/proc' || attempt(() => proc.link('self')) === String(process.pid);
}
