/**
 * The one client that keeps a server busy: a thread sleeps in a call on a connection of the same port (proc_pid_syscall(5)).
 * It may be read of one's own processes, and by root of all.
 */
import type { Address } from '../../../model/facts.ts';
import { type CallName, knowsCalls } from '../calls/numbers.ts';
import { openSocketFinder } from './open-sockets.ts';
import { attempt, type Proc } from './proc.ts';
import { polled, selected, sleepOf } from './waiting.ts';

const mostThreads = 256;

/** Calls that sleep for one descriptor, their first argument. */
const kinds: Readonly<Partial<Record<CallName, 'read' | 'write'>>> = {
  read: 'read',
  readv: 'read',
  recvfrom: 'read',
  recvmsg: 'read',
  write: 'write',
  writev: 'write',
  sendto: 'write',
  sendmsg: 'write',
};

export interface Serving {
  readonly descriptor: number;
  readonly peer: Address;
  readonly call: 'read' | 'write';
}

/**
 * Null when no thread sleeps so, or when that may not be read.
 *
 * @param place Where /proc shows its descriptors.
 * @param connections The peers of the connections of the port, by inode.
 * @param listening Its descriptors of the listener: who waits for that, too, is not kept busy.
 */
export function servingOf(
  proc: Proc,
  { pid, place }: { readonly pid: number; readonly place: string },
  connections: ReadonlyMap<number, Address>,
  listening: readonly number[],
): Serving | null {
  if (!knowsCalls || connections.size === 0) return null;
  const peers = new Map<number, Address>();
  openSocketFinder(proc).sockets(place, 'all', (inode, descriptor) => {
    const peer = connections.get(inode);
    if (peer !== undefined) peers.set(descriptor, peer);
  });
  if (peers.size === 0) return null;
  for (const thread of (attempt(() => proc.list(`${pid}/task`)) ?? []).slice(0, mostThreads)) {
    const sleep = sleepOf(proc, pid, thread);
    if (sleep === null || sleep.name === null) continue;
    const call = kinds[sleep.name];
    const waited = call === undefined ? waitedFor(proc, pid, sleep.name, sleep.args, peers) : [Number(sleep.args[0])];
    if (call === undefined && waitsForAll(proc, pid, sleep.name, sleep.args, listening)) continue;
    for (const descriptor of waited) {
      const peer = peers.get(descriptor);
      if (peer !== undefined) return { descriptor, peer, call: call ?? 'read' };
    }
  }
  return null;
}

function isPoll(name: CallName): boolean {
  return name === 'poll' || name === 'ppoll';
}

function isSelect(name: CallName): boolean {
  return name === 'select' || name === 'pselect6';
}

/** The connections that a thread waits for with poll(2) or select(2), as a read with a timeout does. */
function waitedFor(
  proc: Proc,
  pid: number,
  name: CallName,
  args: readonly string[],
  peers: ReadonlyMap<number, Address>,
): number[] {
  if (isPoll(name)) return polled(proc, pid, args).filter((fd) => peers.has(fd));
  if (!isSelect(name)) return [];
  return [...peers.keys()].filter((fd) => selected(proc, pid, args, new Set([fd])));
}

function waitsForAll(
  proc: Proc,
  pid: number,
  name: CallName,
  args: readonly string[],
  listening: readonly number[],
): boolean {
  if (isPoll(name)) return polled(proc, pid, args).some((fd) => listening.includes(fd));
  return isSelect(name) && selected(proc, pid, args, new Set(listening));
}
