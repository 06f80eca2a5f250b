/**
 * What the processes that have these sockets open are doing.
 *
 * Of processes of other users an ordinary user sees neither which descriptors they have nor what they sleep in. Then the cgroup that the
 * socket was made in (INET_DIAG_CGROUP_ID) names the processes that may be it: their state can be read, `certain` is false.
 */
import type { Address, Gap, Holder, Socket, SocketId } from '../../../model/facts.ts';
import type { Conditions, HolderCondition } from '../../../model/reach/evidence.ts';
import { uptimeMs } from '../../uptime.ts';
import { readPasswd } from '../asker.ts';
import { readHolders } from '../found-holders.ts';
import { withDevice } from '../inet-sockets.ts';
import { readMeasured } from '../netlink/measured.ts';
import { stateBits } from '../netlink/sock-diag.ts';
import { cgroup2Mount, cgroupIds, cgroupMembers, readCgroupPaths } from '../proc/cgroup.ts';
import { descriptorsOf, isFrozen, runnableMs } from '../proc/condition.ts';
import { placeOf } from '../proc/living-thread.ts';
import { attempt, type Proc } from '../proc/proc.ts';
import { openDescriber } from '../proc/process.ts';
import { servingOf } from '../proc/serving.ts';
import { ask } from './port-sockets.ts';

/** More processes than this share a socket, or a cgroup, only in a pool of workers, which do alike. */
const mostHolders = 64;

/** @param lookMs 0 leaves out what takes time. */
export async function readConditions(
  proc: Proc,
  inodes: readonly SocketId[],
  port: number | null,
  lookMs: number,
  gaps: Gap[],
): Promise<Conditions[]> {
  const wanted = new Set(inodes.filter((inode) => inode !== 0));
  if (wanted.size === 0) return [];
  const all = port === null ? [] : socketsOf(port, wanted, gaps);
  const asked = [...wanted].map((inode) => all.find((socket) => socket.inode === inode) ?? unknown(inode));
  const describer = openDescriber(proc, readPasswd);
  const found = readHolders(proc, describer, asked, () => true, 'likely', gaps);
  // The connections of the port are read only where somebody may be kept busy by one: there may be many.
  let known: ReadonlyMap<number, Address> | undefined;
  const peers = (): ReadonlyMap<number, Address> => {
    known ??= port === null ? new Map() : peersOf(port, gaps);
    return known;
  };
  const rows = asked.map((socket) => {
    const holders = found.holders.get(socket.inode) ?? [];
    const certain = holders.length > 0;
    const likely = certain ? holders : fromCgroup(proc, socket, (pid) => describer.describe(pid));
    const first = likely.slice(0, mostHolders).map((holder) => ({ holder, ranMs: runnableMs(proc, holder.pid) }));
    return { inode: socket.inode, certain, first };
  });
  const began = uptimeMs();
  if (lookMs > 0) await process.getBuiltinModule('node:timers/promises').setTimeout(lookMs);
  const lookedMs = uptimeMs() - began;
  return rows.map(({ inode, certain, first }) => ({
    inode,
    unseen: !certain && found.unseen !== null,
    holders: first.map(({ holder, ranMs }): HolderCondition => {
      const { pid } = holder;
      const now = lookMs > 0 && ranMs !== null ? runnableMs(proc, pid) : null;
      const place = placeOf(proc, pid, holder.processState);
      return {
        holder,
        certain,
        frozen: isFrozen(proc, pid),
        descriptors: descriptorsOf(proc, pid),
        busy: now === null || ranMs === null ? null : (now - ranMs) / lookedMs,
        waits: holder.accepts,
        // Who waits for the listener is not kept busy.
        serves:
          lookMs > 0 && certain && holder.accepts !== true
            ? servingOf(proc, { pid, place }, peers(), holder.descriptors)
            : null,
      };
    }),
  }));
}

const waiting = stateBits.LISTEN | stateBits.CLOSE | stateBits.BOUND_INACTIVE;

/** The peers of the connections of a port, by inode. */
function peersOf(port: number, gaps: Gap[]): ReadonlyMap<number, Address> {
  const what = `Which connections port ${port} has cannot be seen`;
  const rows =
    ask(gaps, what, (kernel) => readMeasured(kernel, { protocol: 'tcp', states: stateBits.all & ~waiting, port })) ??
    [];
  return new Map(
    rows.flatMap(({ socket: { inode, remote } }) => (remote === null || inode === 0 ? [] : [[inode, remote] as const])),
  );
}

/** What tells of these sockets; the tables of connections take long, and are read last. */
function socketsOf(port: number, wanted: ReadonlySet<SocketId>, gaps: Gap[]): readonly Socket[] {
  const what = `Which sockets have port ${port} cannot be seen`;
  const found: Socket[] = [];
  const read = (protocol: 'tcp' | 'udp', states: number): void => {
    const rows = ask(gaps, what, (kernel) => readMeasured(kernel, { protocol, states, port })) ?? [];
    found.push(...rows.map(({ socket }) => withDevice(socket)));
  };
  const isMissing = (): boolean => [...wanted].some((inode) => !found.some((socket) => socket.inode === inode));
  read('tcp', waiting);
  if (isMissing()) read('udp', stateBits.all);
  if (isMissing()) read('tcp', stateBits.all & ~waiting);
  return found;
}

/** A socket of which only its inode is known, such as a Unix one. */
function unknown(inode: SocketId): Socket {
  return {
    protocol: 'unix',
    type: 'stream',
    state: 'LISTEN',
    path: '',
    inode,
    uid: process.geteuid?.() ?? 0,
    queue: null,
    elsewhere: false,
  };
}

/** The processes in the cgroup that the socket was made in, of the user who made it; nobody where the cgroup is that of everything. */
function fromCgroup(
  proc: Proc,
  socket: Socket,
  describe: (pid: number) => Omit<Holder, 'descriptors' | 'accepts'> | null,
): Holder[] {
  const id = socket.protocol === 'unix' ? null : (socket.linux?.cgroupId ?? null);
  const mount = id === null ? null : cgroup2Mount(proc);
  if (id === null || mount === null) return [];
  const idOf = cgroupIds(mount);
  if (id === idOf('/')) return [];
  for (const pid of attempt(() => proc.pids()) ?? []) {
    const path = readCgroupPaths(proc, pid)?.unified ?? null;
    if (path === null || idOf(path) !== id) continue;
    const members = cgroupMembers(mount, path);
    if (members.length > mostHolders) return [];
    return members.flatMap((member) => {
      const description = describe(member);
      if (description === null || description.uid !== socket.uid) return [];
      return [{ ...description, descriptors: [], accepts: null }];
    });
  }
  return [];
}
