/**
 * One take-over of an endpoint at a time. Two new instances that start together would else both serve on the old one's socket, and end each other.
 */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { isNativeError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';

/** What one take-over may take beyond the time that the old process is given. */
const marginMs = 10_000;

/**
 * Waits until no other process of this user takes over the same port or path, and keeps others waiting until the returned function is called
 * or this process ends. The name lies in Linux's abstract namespace, as the one of the handshake does.
 *
 * @throws {Error} ETIMEDOUT when the other one does not come to an end.
 */
export async function takeTurn(
  os: Os,
  protocol: string,
  port: number | string,
  patienceMs = 30_000,
  signal?: AbortSignal,
): Promise<() => void> {
  // A path may be longer than a name can be.
  const what = typeof port === 'number' ? port : createHash('sha256').update(resolve(port)).digest('hex').slice(0, 32);
  const path = `\0rebind/turn/${process.getuid?.()}/${protocol}/${what}`;
  const endMs = performance.now() + patienceMs + marginMs;
  for (;;) {
    const own = os.sockets.open('unix', 4);
    try {
      os.sockets.bind(own, { protocol: 'unix', path });
      os.sockets.listen(own, 1024);
      return () => os.sockets.close(own);
    } catch (error) {
      os.sockets.close(own);
      if (!isNativeError(error) || error.code !== 'EADDRINUSE') throw error;
    }
    const leftMs = endMs - performance.now();
    if (leftMs <= 0)
      throw Object.assign(new Error(`Another process takes over ${port} and does not come to an end`), {
        code: 'ETIMEDOUT',
      });
    if ((await othersTurnEnds(os, path, leftMs, signal)) === 'foreign') return () => {};
  }
}

/** Sleeps until the kernel hangs up, which it does when the other one lets go or dies. */
async function othersTurnEnds(
  os: Os,
  path: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<'over' | 'foreign'> {
  const fd = os.sockets.open('unix', 4);
  try {
    os.sockets.connect(fd, { protocol: 'unix', path });
    // Anybody can have the name; only who is one of us is waited for.
    if (os.sockets.peer(fd).uid !== process.getuid?.()) return 'foreign';
    await os.events.wait({ descriptors: [fd], timeoutMs, ...(signal && { signal }) });
  } catch (error) {
    // It let go meanwhile, or does not listen yet.
    if (!isNativeError(error) || error.code !== 'ECONNREFUSED') throw error;
    await os.events.wait({ timeoutMs: 10, ...(signal && { signal }) });
  } finally {
    os.sockets.close(fd);
  }
  return 'over';
}
