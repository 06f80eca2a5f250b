/**
 * Starts on the socket of a server that runs already and knows nothing of hold: copies its listening descriptor
 * (pidfd_getfd(2)), so that its queue goes on, and asks it to finish once ours is ready.
 */
import { type Endpoint, formatEndpoint, nodeTcpOptions, nodeUdpOptions } from '../model/endpoint.ts';
import type { Holder, ProcessIdentity } from '../model/facts.ts';
import { os } from '../os/index.ts';
import type { ProcessHandle } from '../os/processes.ts';
import { type HeldSocket, keep, socketIdentity } from './held-socket.ts';
import type { StopSignal } from './settings.ts';

/** A socket that was taken, and the processes that have it too. */
export interface TakenOver {
  readonly socket: HeldSocket;
  readonly holders: readonly Holder[];
}

/**
 * Copies the descriptor.
 *
 * @throws {Error} with a sentence, when nobody holds it, or none of the holders lets us.
 */
export function takeOver(endpoint: Endpoint): TakenOver {
  const where = formatEndpoint(endpoint);
  const options = endpoint.protocol === 'udp' ? nodeUdpOptions : nodeTcpOptions;
  const facts = os().readFacts({ endpoint, options }, { holders: 'all' });
  const wanted = endpoint.protocol === 'udp' ? 'BOUND' : 'LISTEN';
  const sockets = facts.sockets.filter((socket) => socket.state === wanted && socket.inode !== 0);
  const exact = sockets.filter((socket) => addressOf(socket) === where);
  const why: string[] = [];
  for (const socket of exact.length > 0 ? exact : sockets) {
    const holders = facts.holders.get(socket.inode) ?? [];
    for (const holder of holders) {
      const copy = copyFrom(holder, socket.inode);
      if (typeof copy === 'object') return { socket: copy, holders };
      why.push(`process ${holder.pid}: ${copy}`);
    }
  }
  throw new Error(
    why.length === 0
      ? `Cannot take over ${where}: no process that this user may look into listens there`
      : `Cannot take over ${where}: ${why.join(', ')}`,
  );
}

/** Asks the former holders to finish, and waits for their end. What does not end is left alone. */
export async function askToFinish<P extends ProcessIdentity>(
  holders: readonly P[],
  graceMs: number,
  stopSignal: StopSignal = 'SIGTERM',
): Promise<readonly P[]> {
  const { processes, events } = os();
  const open = holders
    .map((holder) => ({ holder, handle: processes.open(holder) }))
    .filter((one): one is { holder: P; handle: ProcessHandle } => one.handle !== null);
  for (const { handle } of open) handle.signal(stopSignal);
  const until = performance.now() + graceMs;
  try {
    for (;;) {
      const alive = open.filter(({ handle }) => handle.isAlive());
      const leftMs = until - performance.now();
      if (alive.length === 0 || leftMs <= 0) return alive.map(({ holder }) => holder);
      await events.wait({ processes: alive.map(({ handle }) => handle), timeoutMs: leftMs });
    }
  } finally {
    for (const { handle } of open) handle.close();
  }
}

function addressOf(socket: { readonly protocol: string }): string {
  const any = socket as { protocol: 'tcp' | 'udp' | 'unix'; local?: { address: string; port: number }; path?: string };
  if (any.protocol === 'unix') return formatEndpoint({ protocol: 'unix', path: any.path ?? '' });
  return formatEndpoint({ protocol: any.protocol, address: any.local?.address ?? '', port: any.local?.port ?? 0 });
}

function copyFrom(holder: Holder, inode: number): HeldSocket | string {
  const { processes, sockets } = os();
  const handle = processes.open(holder);
  if (handle === null) return 'it has ended';
  try {
    let why = 'it closed the socket';
    for (const descriptor of holder.descriptors) {
      const taken = handle.takeDescriptor(descriptor);
      if (taken.fd === null) {
        why = taken.why;
        continue;
      }
      if (socketIdentity(taken.fd).endsWith(`:${inode}`)) return keep(taken.fd, true);
      sockets.close(taken.fd);
    }
    return why;
  } finally {
    handle.close();
  }
}
