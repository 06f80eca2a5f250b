/**
 * Where a process that has a socket open stands: its session and terminal, its network namespace, and what it listens on besides.
 */
import type { Holder, InetSocket, Standing } from '../../model/facts.ts';
import { placeOf } from './proc/living-thread.ts';
import { type OnSocket, openSocketFinder } from './proc/open-sockets.ts';
import { attempt, type Proc } from './proc/proc.ts';
import { readStat } from './proc/stat.ts';

/** More processes than this share a socket only in a pool of workers, which stand alike. */
const mostHolders = 64;

/** @param listeners Every TCP listener; called only where there is a holder. */
export function readStandings(
  proc: Proc,
  holders: readonly Holder[],
  port: number | null,
  listeners: () => readonly InetSocket[],
): Map<number, Standing> {
  const standings = new Map<number, Standing>();
  if (holders.length === 0) return standings;
  const session = readStat(proc, process.pid)?.session;
  if (session !== undefined)
    standings.set(process.pid, { session, terminal: false, elsewhere: false, alsoListens: [] });
  const network = attempt(() => proc.link('self/ns/net'));
  const others = new Map(
    listeners()
      // What the kernel chose a port for is known to nobody but its own program.
      .filter((socket) => socket.inode !== 0 && socket.local.port !== port && socket.autoPort !== true)
      .map((socket) => [socket.inode, socket]),
  );
  const finder = openSocketFinder(proc);
  for (const { pid } of holders) {
    if (standings.size >= mostHolders) break;
    if (standings.has(pid)) continue;
    const stat = readStat(proc, pid);
    if (stat === null) continue;
    const open = new Map<string, { address: string; port: number }>();
    const note: OnSocket = (inode) => {
      const socket = others.get(inode);
      if (socket !== undefined) open.set(`${socket.local.address} ${socket.local.port}`, socket.local);
    };
    if (others.size > 0) finder.sockets(placeOf(proc, pid, stat.state), 'all', note);
    const itsNetwork = attempt(() => proc.link(`${pid}/ns/net`));
    standings.set(pid, {
      session: stat.session,
      terminal: stat.terminal !== 0,
      elsewhere: network !== null && itsNetwork !== null && network !== itsNetwork,
      alsoListens: [...open.values()].sort((a, b) => a.port - b.port),
    });
  }
  return standings;
}
