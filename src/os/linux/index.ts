/**
 * Linux: what reads (read.ts) and what changes (pidfd.ts, socket.ts, events.ts), as one operating system.
 */
import { rulesFor } from '../../model/rules/index.ts';
import { adviceFor } from '../../model/systems/index.ts';
import type { Capability } from '../capabilities.ts';
import type { Os } from '../os.ts';
import { events } from './calls/events.ts';
import { files } from './calls/files.ts';
import { fileWatches } from './calls/inotify.ts';
import { whyNoLibc } from './calls/libc.ts';
import { orphans } from './calls/orphans.ts';
import { processes } from './calls/pidfd.ts';
import { sessions } from './calls/session.ts';
import { sockets } from './calls/socket.ts';
import { streams } from './calls/streams.ts';
import { channels } from './channels/index.ts';
import { reading } from './read.ts';

// These number their options differently (include/uapi/asm/socket.h of each architecture).
const otherNumbers: ReadonlySet<string> = new Set(['mips', 'mipsel', 'ppc64', 'ppc']);

/** Read from /proc without koffi. Signals are then preceded by a look at the start time. */
const withoutLibc: ReadonlySet<Capability> = new Set(['listSockets', 'identitySafeSignal', 'waitsForInput', 'streams']);

export const linux: Os = {
  platform: 'linux',
  rules: rulesFor('linux'),
  advice: adviceFor('linux'),
  lacks: (capability) => {
    if (capability === 'socketOptions' && otherNumbers.has(process.arch))
      return `The numbers of the socket options of ${process.arch} are not known to rebind`;
    return withoutLibc.has(capability) ? null : whyNoLibc();
  },
  ...reading,
  processes,
  sockets,
  events,
  channels,
  files,
  sessions,
  orphans,
  fileWatches,
  streams,
  reaching: async () => (await import('./reaching.ts')).openReaching(),
};
