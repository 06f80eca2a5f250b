/**
 * Empties a listener's accept queue before it is closed. The kernel resets what it still holds at that moment: connections that
 * clients believe to be open (Linux: inet_csk_listen_stop).
 */
import type { Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isUnsupportedError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';
import { openDescriptor } from './descriptor.ts';

/** A handshake that began before takes one round trip more. Longer ones are not worth keeping the port for. */
const longestMs = 250;

const tcpInfo = { level: 6, name: 11 };
/** Where tcpi_unacked and tcpi_sacked lie in struct tcp_info; of a listener they are the queue's length and limit (tcp_get_info). */
const waitingAt = 24;
const limitAt = 28;

/**
 * Returns when nobody waits in the queue, at most a quarter of a second later. Close the listener in the same turn: new connections are
 * held off only until then. Does nothing where the kernel cannot do it, and where another program serves the same socket, because then nothing is lost.
 */
export async function emptyAcceptQueue(server: Server): Promise<void> {
  const address = server.address();
  const fd = openDescriptor(server);
  if (fd === null || address === null || typeof address === 'string' || process.platform !== 'linux') return;
  try {
    const { os } = await import('../os/index.ts');
    await runDry(os(), server, fd, address.address, address.port);
  } catch (error) {
    // Without koffi there is only Node's own close.
    if (isUnsupportedError(error)) return;
    // The server must be closed all the same; what may be lost is said.
    const why = error instanceof Error ? error.message : String(error);
    process.emitWarning(
      `Connections that wait to be accepted may be reset, because the queue cannot be emptied: ${why}`,
      {
        code: 'REBIND_ACCEPT_QUEUE',
      },
    );
  }
}

/** Loads what `emptyAcceptQueue` needs, so that a later close is quick, and works also when the files were replaced by then. */
export async function prepareEmptying(server: Server): Promise<void> {
  const fd = openDescriptor(server);
  const address = server.address();
  if (process.platform !== 'linux' || fd === null || address === null || typeof address === 'string') return;
  try {
    const { os } = await import('../os/index.ts');
    if (openDescriptor(server) !== fd) return;
    queueOf(os(), fd);
    handshakes(os(), address.address, address.port);
  } catch {
    // Nothing was asked yet; what fails here fails again in the close, which says so.
  }
}

async function runDry(system: Os, server: Server, fd: number, address: string, port: number): Promise<void> {
  if (system.sockets.holdOff(fd) === 'locked') return;
  const endMs = performance.now() + longestMs;
  try {
    do await nextTurn();
    while (
      openDescriptor(server) === fd &&
      performance.now() < endMs &&
      (queueOf(system, fd).waiting > 0 || handshakes(system, address, port))
    );
  } finally {
    // Another process may share the socket without a mark.
    if (openDescriptor(server) === fd) system.sockets.letIn(fd);
  }
}

/** How many connections wait to be accepted, and how many may. */
export function queueOf(system: Os, fd: number): { waiting: number; limit: number } {
  const info = system.sockets.getOption(fd, tcpInfo, limitAt + 4);
  const words = new Uint32Array(info.buffer, info.byteOffset, info.length >> 2);
  return { waiting: words[waitingAt >> 2] ?? 0, limit: words[limitAt >> 2] ?? 0 };
}

/** True while somebody's handshake is under way. */
function handshakes(system: Os, address: string, port: number): boolean {
  const request = {
    endpoint: { protocol: 'tcp', address, port },
    options: { reuseAddress: true, reusePort: false, v6Only: false, device: null },
  } as const;
  const { sockets } = system.readFacts(request, { holders: 'none' });
  return sockets.some((socket) => socket.protocol === 'tcp' && socket.state === 'SYN_RECV');
}
