/**
 * What is read through libSystem: every socket with its flags and user, and the processes that have it open as far as we may look.
 */
import type { Gap, Holder, InetSocket, Socket, Standing, UnixSocket } from '../../model/facts.ts';
import { isNativeError } from '../errors.ts';
import { sysctlBytes } from './asking.ts';
import { type Describer, openDescriber } from './describe.ts';
import { notListed } from './gaps.ts';
import { eachSocket, findHolders } from './holders.ts';
import type { LibSystem } from './lib-system.ts';
import { inetSockets, readPcbList } from './pcb-list.ts';
import { timeLeftBy } from './settings.ts';
import { readUnixList } from './unix-list.ts';

export interface FoundHolders {
  readonly holders: Map<number, readonly Holder[]>;
  /** Why processes may hold one of these sockets and are not listed; null when every process was looked into. */
  readonly unseen: string | null;
}

/** Where facts come from. */
export interface Source {
  /** Those of every user, newest first. */
  inetSockets(protocol: 'tcp' | 'udp', gaps: Gap[]): readonly InetSocket[];
  /** Null when they cannot be listed. */
  unixSockets(gaps: Gap[]): readonly UnixSocket[] | null;
  holders(sockets: readonly Socket[]): FoundHolders;
  standings(holders: readonly Holder[], port: number | null): Map<number, Standing>;
  readonly describer: Pick<Describer, 'describe' | 'userName' | 'parents' | 'nameOf'>;
}

/** More processes than this share a socket only in a pool of workers, which stand alike. */
const mostStandings = 64;

/** @throws {LayoutError} from its functions, where a structure has another size in this release. */
export function nativeSource(lib: LibSystem, darwin: number): Source {
  const describer = openDescriber(lib, darwin);
  const listed = new Map<string, readonly InetSocket[]>();
  const list = (protocol: 'tcp' | 'udp', gaps: Gap[]): readonly InetSocket[] => {
    const known = listed.get(protocol);
    if (known !== undefined) return known;
    try {
      const pcbs = readPcbList(sysctlBytes(lib, `net.inet.${protocol}.pcblist_n`), darwin);
      const sockets = inetSockets(pcbs, protocol, darwin, timeLeftBy(lib));
      listed.set(protocol, sockets);
      return sockets;
    } catch (error) {
      if (!isNativeError(error)) throw error;
      gaps.push(notListed(protocol.toUpperCase(), error.code));
      return [];
    }
  };

  return {
    describer,
    inetSockets: list,
    unixSockets(gaps) {
      try {
        return (['stream', 'datagram'] as const).flatMap((type) => {
          const name = `net.local.${type === 'stream' ? 'stream' : 'dgram'}.pcblist64`;
          return readUnixList(sysctlBytes(lib, name), type, darwin);
        });
      } catch (error) {
        if (!isNativeError(error)) throw error;
        gaps.push(notListed('Unix', error.code));
        return null;
      }
    },
    holders(sockets) {
      const { found, unseen } = findHolders(lib, darwin, sockets);
      const holders = new Map<number, readonly Holder[]>();
      for (const [id, byPid] of found) {
        const list = [...byPid]
          .sort(([a], [b]) => a - b)
          .flatMap(([pid, descriptors]) => holderOf(describer, pid, descriptors));
        if (list.length > 0) holders.set(id, list);
      }
      for (const socket of sockets) {
        // A flow of Network.framework has no descriptor; the kernel names its process for good.
        if (socket.protocol === 'unix' || socket.darwin?.userSpace !== true) continue;
        const owner = holderOf(describer, socket.darwin.lastPid, []);
        if (owner.length > 0) holders.set(socket.inode, owner);
      }
      return { holders, unseen };
    },
    standings(holders, port) {
      const standings = new Map<number, Standing>();
      const here = describer.facts(process.pid);
      if (here !== null)
        standings.set(process.pid, {
          session: lib.getsid(process.pid),
          terminal: false,
          elsewhere: false,
          alsoListens: [],
        });
      const others = new Map(
        list('tcp', [])
          // What the kernel chose a port for is known to nobody but its own program.
          .filter(
            ({ state, inode, local, autoPort }) =>
              state === 'LISTEN' && inode !== 0 && local.port !== port && !autoPort,
          )
          .map((socket) => [socket.inode, socket]),
      );
      for (const { pid } of holders) {
        if (standings.size >= mostStandings) break;
        if (standings.has(pid)) continue;
        const open = new Map<string, InetSocket['local']>();
        eachSocket(lib, darwin, pid, ({ id }) => {
          const local = others.get(id)?.local;
          if (local !== undefined) open.set(`${local.address} ${local.port}`, local);
        });
        standings.set(pid, {
          session: lib.getsid(pid),
          terminal: (describer.facts(pid)?.terminal ?? null) !== null,
          elsewhere: false,
          alsoListens: [...open.values()].sort((a, b) => a.port - b.port),
        });
      }
      return standings;
    },
  };
}

/** Empty when it exited meanwhile. Whether it accepts, macOS does not show. */
function holderOf(describer: Describer, pid: number, descriptors: readonly number[]): Holder[] {
  const description = describer.describe(pid);
  if (description === null) return [];
  return [{ ...description, descriptors: [...descriptors].sort((a, b) => a - b), accepts: null }];
}
