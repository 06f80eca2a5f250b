/**
 * Whose turn it is: of several rebinds at once, one signals a process and the others wait for its end. A second SIGTERM
 * would cut short what the first one began, because many servers take it as "now".
 */
import type { ProcessIdentity } from '../model/facts.ts';
import { isNativeError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';

/** Held until it is disposed of, or this process ends. */
export interface Turn {
  release(): void;
}

/**
 * Takes the turn for one process, or null when another rebind of this user, or of root, has it.
 *
 * The lock is an abstract Unix socket: it needs no file, and the kernel removes it with its owner. A stranger who sits
 * on the name is passed over, so nobody can keep another user's process from being stopped.
 */
export function takeTurn(os: Os, identity: ProcessIdentity, uid: number): Turn | null {
  const endpoint = { protocol: 'unix', path: `\0rebind/stop/${identity.pid}/${identity.started}` } as const;
  const fd = os.sockets.open('unix', 4);
  try {
    os.sockets.bind(fd, endpoint);
    os.sockets.listen(fd, 16);
    return { release: () => os.sockets.close(fd) };
  } catch (error) {
    os.sockets.close(fd);
    if (!isNativeError(error) || error.code !== 'EADDRINUSE') throw error;
  }
  const owner = ownerOf(os, endpoint);
  return owner === 0 || owner === uid ? null : { release: () => {} };
}

/** The user who listens there, or null when nobody does any more or it cannot be told. */
function ownerOf(os: Os, endpoint: { protocol: 'unix'; path: string }): number | null {
  const fd = os.sockets.open('unix', 4);
  try {
    os.sockets.connect(fd, endpoint);
    return os.sockets.peer(fd).uid;
  } catch (error) {
    if (isNativeError(error)) return null;
    throw error;
  } finally {
    os.sockets.close(fd);
  }
}
