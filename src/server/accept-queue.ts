/**
 * Empties a listener's accept queue before it is closed. The kernel resets what it still holds at that moment: connections that
 * clients believe to be open (Linux: inet_csk_listen_stop).
 */
import type { Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Os } from '../os/os.ts';
import { openDescriptor } from './descriptor.ts';

/** A handshake that began before takes one round trip more. Longer ones are not worth keeping the port for. */
const longestMs = 250;

/**
 * Returns when nobody waits in the queue, at most a quarter of a second later. Close the listener in the same turn: new connections are
 * held off only until then. Does nothing where the kernel cannot do it, and where another program serves the same socket, because then nothing is lost.
 */
export async function emptyAcceptQueue(server: Server): Promise<void> {
  const address = server.address();
  const fd = openDescriptor(server);
  if (fd === null || address === null || typeof address === 'string') return;
  try {
    const { os } = await import('../os/index.ts');
    // Without it there is only Node's own close.
    if (os().lacks('pauseListener') !== null) return;
    await runDry(os(), server, fd, address.address, address.port);
  } catch (error) {
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
  if (fd === null || address === null || typeof address === 'string') return;
  try {
    const { os } = await import('../os/index.ts');
    if (openDescriptor(server) !== fd) return;
    os().sockets.acceptQueue(fd);
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
      (system.sockets.acceptQueue(fd).waiting > 0 || handshakes(system, address, port))
    );
  } finally {
    // Another process may share the socket without a mark.
    if (openDescriptor(server) === fd) system.sockets.letIn(fd);
  }
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
