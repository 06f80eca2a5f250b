/** What the causes of Unix sockets share. */
import { formatEndpoint } from '../../../model/endpoint.ts';
import type { PathSocket, UnixEvidence } from '../../../model/reach/evidence.ts';
import type { AddressQuestion } from '../../../model/reach/question.ts';
import type { ConnectStage, ConnectStaged } from '../../../stage/connect/stage.ts';

/** A Unix socket that could not be connected to, with this errno. Null for all else. */
export function unixRefused(question: AddressQuestion, ...errnos: readonly string[]): UnixEvidence | null {
  const evidence = unixOf(question);
  if (evidence === null) return null;
  const errno = evidence.attempt?.errno ?? evidence.stat.errno;
  return errno !== null && errnos.includes(errno) ? evidence : null;
}

export function unixOf({ evidence }: AddressQuestion): UnixEvidence | null {
  return evidence.protocol === 'unix' ? evidence : null;
}

/** `/run/app.sock`, `unix:@name`. */
export function pathOf({ path }: UnixEvidence): string {
  return formatEndpoint({ protocol: 'unix', path });
}

/** sun_path has 108 bytes, the last of which is a zero (unix(7)). */
export const longest = 107;

export function bytesOf({ path }: UnixEvidence): number {
  return new TextEncoder().encode(path).length;
}

export function isTooLong(evidence: UnixEvidence): boolean {
  return bytesOf(evidence) > longest;
}

/** Sockets that were bound to exactly the file that stands there now; all of the name where the kernel does not tell. */
export function socketsOfFile({ sockets, stat }: UnixEvidence): readonly PathSocket[] {
  return (sockets ?? []).filter(({ file }) => file === null || file.inode === stat.inode);
}

/** Listeners that were bound to this name, with another file: it was removed or replaced since. */
export function lostListeners({ sockets, stat }: UnixEvidence): readonly PathSocket[] {
  return (sockets ?? []).filter(
    ({ state, file, elsewhere }) => state === 'LISTEN' && !elsewhere && file !== null && file.inode !== stat.inode,
  );
}

/** Somebody asks for a path in the directory of the stage, after `prepare` has made something of it. */
export async function atPath(
  stage: ConnectStage,
  description: string,
  prepare: (path: string) => Promise<{ readonly pid: number } | undefined>,
): Promise<ConnectStaged> {
  const path = `${stage.directory()}/app.sock`;
  const server = await prepare(path);
  return stage.reached({
    words: [path],
    description: description.replaceAll('PATH', path),
    holders: server === undefined ? [] : [server.pid],
  });
}

/** A process that has bound the path, and listens unless told otherwise. */
export async function listener(
  stage: ConnectStage,
  path: string,
  { backlog = 16 as number | null, type = 'stream' as 'stream' | 'datagram' | 'seqpacket' } = {},
): Promise<Awaited<ReturnType<ConnectStage['actor']>>> {
  const actor = await stage.actor('server');
  const socket = await actor.open({ kind: 'unix', type });
  await socket.bindPath(path);
  if (backlog !== null) await socket.listen(backlog);
  return actor;
}
