/**
 * When a Node server really waits: `listening` is emitted before libuv hands the socket to epoll.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Resolves when the event loop has polled once. libuv registers new descriptors at the beginning of its poll (uv__io_poll);
 * the first turn may end within the present one, so two are waited for.
 */
export async function polled(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
