/**
 * Linux: what reads (read.ts) and what changes (pidfd.ts, socket.ts, events.ts), as one operating system.
 */
import type { Os } from '../os.ts';
import { events } from './events.ts';
import { hasLibc, libc } from './libc.ts';
import { processes } from './pidfd.ts';
import { reading } from './read.ts';
import { sockets } from './socket.ts';

export const linux: Os = {
  platform: 'linux',
  ...reading,
  processes,
  sockets,
  events,
  trimMemory: () => {
    if (hasLibc()) libc().mallocTrim?.(0);
  },
};
