/**
 * macOS: what reads (read.ts) and what changes (processes.ts, sockets.ts, events.ts), as one operating system. Nothing of it was run on a Mac;
 * see model/proven.ts for what its parts go by.
 */
import type { Request } from '../../model/endpoint.ts';
import type { Gap, Probe } from '../../model/facts.ts';
import { rulesFor } from '../../model/rules/index.ts';
import { adviceFor } from '../../model/systems/index.ts';
import { type Capability, capabilities } from '../capabilities.ts';
import { bindByNode, isShortage } from '../node-bind.ts';
import type { Os } from '../os.ts';
import { portable } from '../portable.ts';
import { tryBind } from '../try-bind.ts';
import { openEvents } from './events.ts';
import { type Mac, thisMac, whyNoLib } from './mac.ts';
import { openProcesses } from './processes.ts';
import { openReading } from './read.ts';
import { openSockets } from './sockets.ts';

/** What macOS itself does not have, and what nobody could run there yet. */
const reasons: { readonly [name in Capability]?: string } = {
  copySocket: 'the system has no call for it',
  removeSocket: 'the system has no call for it; what is left of a connection ends by itself within a minute',
  pauseListener: 'the system has no call for it',
  waitsForInput: 'the system does not show it',
  socketEvents: 'the system tells nobody',
};

const unrun = 'hold and take-over have not been run there';

/** These go through libSystem. */
const native: ReadonlySet<Capability> = new Set(['identitySafeSignal', 'ownSockets', 'socketOptions']);

export const darwin: Os = openDarwin(thisMac);

/** @param mac The machine; tests bring one of their own. */
export function openDarwin(mac: Mac): Os {
  const because = (capability: Capability): string =>
    (native.has(capability) ? whyNoLib(mac)?.message : undefined) ??
    `Cannot ${capabilities[capability]} on macOS${reasons[capability] === undefined ? ' yet' : ''}: ${reasons[capability] ?? unrun}`;
  const lacks = (capability: Capability): string | null => {
    if (capability === 'listSockets') return null;
    if (native.has(capability)) return whyNoLib(mac)?.message ?? null;
    return because(capability);
  };
  const base = portable('darwin', unrun, ['listSockets', ...native], because);
  const sockets = openSockets(mac, because);
  return {
    ...base,
    rules: rulesFor('darwin'),
    advice: adviceFor('darwin'),
    lacks,
    ...openReading(mac, mac.settings ?? base.readSettings),
    probe: (request, gaps) => probe(request, gaps, mac, sockets),
    processes: openProcesses(mac, because),
    sockets,
    events: openEvents(
      () => mac.lib(),
      () => because('socketEvents'),
    ),
  };
}

function probe({ endpoint, options }: Request, gaps: Gap[] = [], mac: Mac, sockets: Os['sockets']): Probe | null {
  if (endpoint.protocol === 'unix') return null;
  const answer = whyNoLib(mac) === null ? tryBind(sockets, endpoint, options) : bindByNode(endpoint, options);
  if ('errno' in answer) return answer;
  gaps.push({
    what: 'Whether the system allows this bind could not be tried',
    why: answer.why,
    hint: isShortage(answer.why)
      ? 'This process has no descriptors or memory left: raise its limits (ulimit -n), or run it again later'
      : 'Install koffi with its binary for this platform',
  });
  return null;
}
