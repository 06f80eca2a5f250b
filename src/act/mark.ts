/**
 * Marking: SO_REUSEADDR is set on a server's sockets while it still owns them, so that the connections it leaves behind
 * cannot block the next one. What is left of a connection keeps the flag that the connection had (inet_twsk_alloc in the kernel).
 */
import type { Request } from '../model/endpoint.ts';
import type { Holder, InetSocket } from '../model/facts.ts';
import type { ActResult } from '../model/step.ts';
import type { Os } from '../os/os.ts';
import { copySocket } from './copy-socket.ts';

type Marked = 'marked' | 'marked already' | { readonly why: string };

export interface ToMark {
  readonly inode: number;
  readonly holders: readonly Holder[];
}

/**
 * Marks the sockets, and the connections that their owners accepted meanwhile: those began without the flag.
 * Not being allowed to is an outcome; the server can be stopped all the same.
 */
export function mark(os: Os, request: Request, sockets: readonly ToMark[]): ActResult {
  const results = sockets.map((socket) => markOne(os, socket));
  if (results.includes('marked')) {
    const done = new Set(sockets.map((socket) => socket.inode));
    results.push(...since(os, request, sockets, done).map((socket) => markOne(os, socket)));
  }
  const refused = results.find((result) => typeof result !== 'string');
  if (refused !== undefined) return { outcome: 'failed', why: refused.why };
  return results.includes('marked')
    ? { outcome: 'done', why: null }
    : { outcome: 'skipped', why: 'they have it already' };
}

/** Connections of the same processes that were not there before. */
function since(os: Os, request: Request, sockets: readonly ToMark[], done: ReadonlySet<number>): ToMark[] {
  const pids = new Set(sockets.flatMap((socket) => socket.holders.map((holder) => holder.pid)));
  const facts = os.readFacts(request, { holders: 'likely' });
  return facts.sockets
    .filter(
      (socket): socket is InetSocket => socket.protocol === 'tcp' && socket.inode !== 0 && !done.has(socket.inode),
    )
    .map(({ inode }) => ({ inode, holders: facts.holders.get(inode) ?? [] }))
    .filter((socket) => socket.holders.some((holder) => pids.has(holder.pid)));
}

/** Through the first process that lets us: they all have the same socket open. */
function markOne(os: Os, { inode, holders }: ToMark): Marked {
  let why = 'no process has it open now';
  for (const holder of holders) {
    const handle = os.processes.open(holder);
    if (handle === null) continue;
    try {
      const copied = copySocket(os, handle, holder.descriptors, inode);
      if (copied.fd !== null) return markCopy(os, copied.fd);
      if (!/ /.test(copied.why)) why = `${copied.why}: this user may not touch the sockets of process ${holder.pid}`;
    } finally {
      handle.close();
    }
  }
  return { why };
}

function markCopy(os: Os, fd: number): Marked {
  try {
    if (os.sockets.getReuseAddress(fd)) return 'marked already';
    os.sockets.setReuseAddress(fd, true);
    return 'marked';
  } finally {
    // At once: as long as we have it open, the port stays taken even when its owner ends.
    os.sockets.close(fd);
  }
}
