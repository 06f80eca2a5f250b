import type { InetSocket } from './facts.ts';

/** What is left of a connection when no process has it any more: the kernel forgets it after a while. */
export function isLeftover(socket: InetSocket): boolean {
  return socket.linux?.mini ?? socket.state === 'TIME_WAIT';
}
