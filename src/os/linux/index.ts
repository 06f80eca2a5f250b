/**
 * Linux: what reads (read.ts) and what changes (pidfd.ts, socket.ts, events.ts), as one operating system.
 */
import type { Os } from '../os.ts';
import { events } from './calls/events.ts';
import { files } from './calls/files.ts';
import { fileWatches } from './calls/inotify.ts';
import { orphans } from './calls/orphans.ts';
import { processes } from './calls/pidfd.ts';
import { sessions } from './calls/session.ts';
import { sockets } from './calls/socket.ts';
import { streams } from './calls/streams.ts';
import { reading } from './read.ts';

export const linux: Os = {
  platform: 'linux',
  ...reading,
  processes,
  sockets,
  events,
  files,
  sessions,
  orphans,
  fileWatches,
  streams,
};
