/**
 * The instruments of `reach` on Linux. Without koffi what Node alone can do is left, and that is said.
 */
import { portableReaching } from '../portable-reaching.ts';
import type { Reaching } from '../reaching.ts';
import { askerNow } from './asker.ts';
import { hasLibc, libc, whyNoLibc } from './calls/libc.ts';
import { enterNetworkOf } from './calls/network-namespace.ts';
import { processes } from './calls/pidfd.ts';
import { openProc } from './proc/proc.ts';
import { attemptOnce } from './reach/attempt.ts';
import { readBefore } from './reach/before.ts';
import { readConditions } from './reach/conditions.ts';
import { sendDatagram } from './reach/datagram.ts';
import { readElsewhere } from './reach/elsewhere.ts';
import { openFirewall } from './reach/firewall.ts';
import { readNameFiles } from './reach/names.ts';
import { seeUnixPath } from './reach/unix.ts';
import { walkTo } from './reach/walk.ts';

export function openReaching(): Reaching {
  const proc = openProc('/proc');
  const files: Pick<Reaching, 'nameFiles' | 'elsewhere' | 'conditions' | 'before'> = {
    nameFiles: (host) => readNameFiles(host),
    elsewhere: (to, gaps) => readElsewhere(proc, to, gaps),
    conditions: (sockets, port, lookMs, gaps) => readConditions(proc, sockets, port, lookMs, gaps),
    before: (to, gaps) => readBefore(proc, to, gaps),
  };
  const fallback = portableReaching(askerNow, {
    what: 'What the kernel counts, and who refuses a connection, cannot be seen',
    why: 'ERR_REBIND_UNSUPPORTED',
    hint: whyNoLibc() ?? 'Install koffi with its binary for this platform',
  });
  if (!hasLibc()) return { ...fallback, ...files };
  return {
    ...fallback,
    ...files,
    enterNamespaceOf: ({ pid, started }) =>
      enterNetworkOf('/proc', pid, () => processes.identify(pid)?.started === started),
    exitNow: (status) => void libc()._exit(status),
    attempt: (to, options, gaps) => attemptOnce(proc, to, options, gaps),
    datagram: (to, payload, options, gaps) => sendDatagram(proc, to, payload, options, gaps),
    firewall: (to, gaps) => openFirewall(proc, to, gaps),
    walk: walkTo,
    unix: (path, options, gaps) => seeUnixPath(proc, path, options, gaps),
  };
}
