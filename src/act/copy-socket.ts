/**
 * Copying a socket of another process (pidfd_getfd(2)): the only code that does it. A descriptor number says nothing, so what was copied is
 * compared with the socket that was meant.
 */
import type { Os } from '../os/os.ts';
import type { ProcessHandle } from '../os/processes.ts';

export type Copied = { readonly fd: number } | { readonly fd: null; readonly why: string };

/**
 * A copy of the socket with this inode, through the first of the descriptors that still is it. The caller owns `fd`.
 *
 * @param isMeant Asked of each copy that is the socket.
 */
export function copySocket(
  os: Os,
  handle: ProcessHandle,
  descriptors: readonly number[],
  inode: number,
  isMeant: (fd: number) => boolean = () => true,
): Copied {
  const lacking = os.lacks('copySocket');
  if (lacking !== null) return { fd: null, why: lacking };
  let why = 'it has closed the socket';
  for (const descriptor of descriptors) {
    const taken = handle.takeDescriptor(descriptor);
    if (taken.fd === null) {
      // Closed since it was seen: that is no obstacle of its own.
      if (taken.why !== 'EBADF' && taken.why !== 'ESRCH') ({ why } = taken);
      continue;
    }
    if (os.sockets.identity(taken.fd)?.inode === inode && isMeant(taken.fd)) return taken;
    os.sockets.close(taken.fd);
  }
  return { fd: null, why };
}
