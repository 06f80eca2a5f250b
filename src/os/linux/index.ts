/**
 * Linux: what reads (read.ts) and what changes (pidfd.ts, socket.ts, events.ts), as one operating system.
 */
import type { Os } from '../os.ts';
import { events } from './calls/events.ts';
import { files } from './calls/files.ts';
import { hasLibc, libc } from './calls/libc.ts';
import { processes } from './calls/pidfd.ts';
import { sockets } from './calls/socket.ts';
import { reading } from './read.ts';

export const linux: Os = {
  platform: 'linux',
  ...reading,
  processes,
  sockets,
  events,
  files,
  trimMemory: () => {
    if (hasLibc()) libc().mallocTrim?.(0);
  },
};
