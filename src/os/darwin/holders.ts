/**
 * Which processes have a socket open: every descriptor of every process that we may look into, and the ports by which launchd keeps
 * sockets for its jobs (fileports).
 */
import type { Socket } from '../../model/facts.ts';
import { isRefused, listOf, listPids, structureOf } from './asking.ts';
import { procFdinfo, procFileportinfo, socketFdinfo } from './layouts.ts';
import type { LibSystem } from './lib-system.ts';
import {
  PROC_ALL_PIDS,
  PROC_PIDFDSOCKETINFO,
  PROC_PIDFILEPORTSOCKETINFO,
  PROC_PIDLISTFDS,
  PROC_PIDLISTFILEPORTS,
  PROX_FDTYPE_SOCKET,
} from './numbers.ts';
import { type OpenSocket, openSocketOf } from './socket-info.ts';

/** The descriptors by process, by socket. A fileport has none. */
export type Found = Map<number, Map<number, number[]>>;

export interface HolderSearchResult {
  readonly found: Found;
  /** Why processes may hold one of these sockets and are not in the list; null when every process was looked into. */
  readonly unseen: string | null;
}

/** @throws {LayoutError} */
export function findHolders(lib: LibSystem, darwin: number, wanted: readonly Socket[]): HolderSearchResult {
  const found: Found = new Map();
  const pids = listPids(lib, PROC_ALL_PIDS);
  if (isRefused(pids)) return { found, unseen: pids.why };
  const match = matcher(wanted);
  let unseen: string | null = null;
  for (const pid of pids) {
    const refused = eachSocket(lib, darwin, pid, (socket, fd) => {
      for (const id of match(socket)) {
        const byPid = found.get(id) ?? new Map<number, number[]>();
        found.set(id, byPid);
        const descriptors = byPid.get(pid) ?? [];
        byPid.set(pid, fd === null ? descriptors : [...descriptors, fd]);
      }
    });
    // ESRCH: it exited meanwhile, and its sockets with it.
    if (refused !== null && refused !== 'ESRCH') unseen ??= refused;
  }
  return { found, unseen };
}

/** Tells each socket that a process has open, with its descriptor; null for a fileport. @returns Why it may not be looked into, or null. */
export function eachSocket(
  lib: LibSystem,
  darwin: number,
  pid: number,
  onSocket: (socket: OpenSocket, fd: number | null) => void,
): string | null {
  const layout = socketFdinfo.of(darwin);
  const descriptors = listOf(lib, procFdinfo.of(darwin), (buffer, size) =>
    lib.proc_pidinfo(pid, PROC_PIDLISTFDS, 0n, buffer, size),
  );
  if (isRefused(descriptors)) return descriptors.why;
  for (const { proc_fd: fd, proc_fdtype: type } of descriptors) {
    if (type !== PROX_FDTYPE_SOCKET) continue;
    const info = structureOf(lib, layout, (buffer, size) =>
      lib.proc_pidfdinfo(pid, fd, PROC_PIDFDSOCKETINFO, buffer, size),
    );
    // Closed meanwhile.
    const socket = isRefused(info) ? null : openSocketOf(info);
    if (socket !== null) onSocket(socket, fd);
  }
  const ports = listOf(lib, procFileportinfo.of(darwin), (buffer, size) =>
    lib.proc_pidinfo(pid, PROC_PIDLISTFILEPORTS, 0n, buffer, size),
  );
  if (isRefused(ports)) return null;
  for (const { proc_fileport: port, proc_fdtype: type } of ports) {
    if (type !== PROX_FDTYPE_SOCKET) continue;
    const info = structureOf(lib, layout, (buffer, size) =>
      lib.proc_pidfileportinfo(pid, port, PROC_PIDFILEPORTSOCKETINFO, buffer, size),
    );
    const socket = isRefused(info) ? null : openSocketOf(info);
    if (socket !== null) onSocket(socket, null);
  }
  return null;
}

/** The ids of the wanted sockets that an open one is. A Unix socket is known by its name as well: its number differs between the two lists. */
function matcher(wanted: readonly Socket[]): (socket: OpenSocket) => readonly number[] {
  const ids = new Set<number>();
  const names = new Map<string, number[]>();
  for (const socket of wanted) {
    if (socket.inode === 0) continue;
    ids.add(socket.inode);
    if (socket.protocol !== 'unix') continue;
    const name = nameOf(socket.path, socket.state === 'LISTEN');
    names.set(name, [...(names.get(name) ?? []), socket.inode]);
  }
  return (socket) => {
    if (ids.has(socket.id)) return [socket.id];
    return socket.protocol === 'unix' ? (names.get(nameOf(socket.local.address, socket.isListening)) ?? []) : [];
  };
}

function nameOf(path: string, isListening: boolean): string {
  return `${isListening ? 'listens' : ''}\0${path}`;
}
