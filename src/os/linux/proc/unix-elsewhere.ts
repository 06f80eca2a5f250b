/**
 * The Unix sockets of other network namespaces that have the file of a path open. Ports belong to one network namespace, files to all of them:
 * two containers that share a volume meet at its sockets, and the tables of the kernel show only those of one's own namespace.
 */
import { statSync } from 'node:fs';
import { basename, isAbsolute } from 'node:path';
import type { UnixSocket } from '../../../model/facts.ts';
import { inodeOf } from './open-sockets.ts';
import { attempt, isNumber, type Proc } from './proc.ts';
import { parseUnixTable } from './unix-sockets.ts';

const tableLimit = 67_108_864;
/** More processes than this are not looked into. */
const mostProcesses = 4_096;

/** A socket of another network namespace, proven to be the one of this file by a process that has it open. */
export function socketsElsewhere(proc: Proc, path: string): UnixSocket[] {
  const file = identityOf(path);
  if (file === null) return [];
  const own = attempt(() => proc.link('self/ns/net'));
  const tables = new Map<string, UnixSocket[]>();
  const found = new Map<number, UnixSocket>();
  for (const pid of proc.pids().slice(0, mostProcesses)) {
    const namespace = attempt(() => proc.link(`${pid}/ns/net`));
    if (namespace === null || namespace === own) continue;
    let rows = tables.get(namespace);
    if (rows === undefined) {
      rows = rowsNamed(proc, pid, path);
      tables.set(namespace, rows);
    }
    const open = rows.filter((row) => !found.has(row.inode) && hasOpen(proc, pid, row.inode));
    for (const row of open) if (isFile(proc, pid, row.path, file)) found.set(row.inode, { ...row, path });
  }
  return [...found.values()];
}

/** Listeners and bound sockets whose name ends as the path does: a mount may show the same directory by another name. */
function rowsNamed(proc: Proc, pid: number, path: string): UnixSocket[] {
  const table = attempt(() => parseUnixTable(proc.read(`${pid}/net/unix`, tableLimit))) ?? [];
  return table.flatMap(({ type, state, name, inode, uid, queue }) => {
    const text = name.toString('utf8');
    const fits = name[0] !== 0 && state !== 'ESTABLISHED' && basename(text) === basename(path);
    return fits
      ? [{ protocol: 'unix' as const, type, state, path: text, inode, uid: uid ?? 0, queue, elsewhere: true }]
      : [];
  });
}

function hasOpen(proc: Proc, pid: number, inode: number): boolean {
  const names = attempt(() => proc.list(`${pid}/fd`)) ?? [];
  return names.some((name) => isNumber(name) && inodeOf(attempt(() => proc.link(`${pid}/fd/${name}`)) ?? '') === inode);
}

/** The name as that process sees it: from its root, or from its working directory. */
function isFile(proc: Proc, pid: number, name: string, file: string): boolean {
  const at = `${proc.root}/${pid}/${isAbsolute(name) ? `root${name}` : `cwd/${name}`}`;
  return identityOf(at) === file;
}

function identityOf(path: string): string | null {
  try {
    const { dev, ino } = statSync(path, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    // Gone, or not ours to look at.
    return null;
  }
}
