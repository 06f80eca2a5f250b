/** The sockets of this machine that have the target, as a report shows them. */
import { reportedHolder } from '../judge.ts';
import type { Manager } from '../managers.ts';
import type { Blocker } from '../verdict.ts';
import type { Evidence } from './evidence.ts';
import { holdersOf as sureHolders } from './holders.ts';

/** Each socket once: listeners, and what is bound to the port without listening. */
export function listenersOf(all: readonly Evidence[], managers: ReadonlyMap<number, Manager>): Blocker[] {
  const byInode = new Map<string, Blocker>();
  for (const evidence of all) for (const found of ofOne(evidence, managers)) byInode.set(keyOf(found), found);
  return [...byInode.values()];
}

function keyOf({ inode, local }: Blocker): string {
  return `${inode} ${local.address} ${local.port}`;
}

function ofOne(evidence: Evidence, managers: ReadonlyMap<number, Manager>): Blocker[] {
  const holdersOf = (inode: number): Blocker['holders'] =>
    sureHolders(evidence, inode).map(({ holder }) => reportedHolder(holder, managers.get(holder.pid) ?? null));
  const shared = (socket: { readonly uid: number; readonly inode: number }) => ({
    uid: socket.uid,
    inode: socket.inode,
    certain: true,
    holders: holdersOf(socket.inode),
  });
  if (evidence.protocol === 'unix')
    return (evidence.sockets ?? [])
      .filter(({ state }) => state !== 'ESTABLISHED')
      .map((socket) => ({
        protocol: 'unix',
        state: socket.state,
        local: { address: socket.path, port: 0 },
        remote: null,
        expiresInMs: null,
        ...shared(socket),
      }));
  return (evidence.before.sockets ?? [])
    .filter(({ state }) => state === 'LISTEN' || state === 'BOUND' || evidence.protocol === 'udp')
    .map((socket) => ({
      protocol: socket.protocol,
      state: socket.state,
      local: socket.local,
      remote: socket.remote,
      expiresInMs: socket.expiresInMs,
      ...shared(socket),
    }));
}
