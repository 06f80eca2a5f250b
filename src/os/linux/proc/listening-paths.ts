/**
 * The Unix sockets that a process listens on, by their paths.
 */
import { openSocketFinder } from './open-sockets.ts';
import { attempt, openProc } from './proc.ts';
import { readProcNetUnix } from './unix-sockets.ts';

/** The table of the process's own network namespace; names in the abstract namespace are left out, as nobody's rights guard them (unix(7)). */
export function listeningPaths(pid: number): string[] {
  const proc = openProc('/proc');
  const inodes = new Set<number>();
  openSocketFinder(proc).sockets(`${pid}`, 'all', (inode) => inodes.add(inode));
  if (inodes.size === 0) return [];
  const rows = attempt(() => readProcNetUnix({ ...proc, read: (_path, limit) => proc.read(`${pid}/net/unix`, limit) }));
  return (rows ?? [])
    .filter(({ inode, state, name }) => state === 'LISTEN' && inodes.has(inode) && name[0] === 0x2f)
    .map(({ name }) => name.toString('utf8'));
}
