/**
 * An operating system with nothing but Node's own means: what a system that rebind does not know has, and what a new one begins with.
 * Whether a bind works is asked of the kernel all the same; who is in its way is a gap.
 */
import type { Request } from '../model/endpoint.ts';
import type { Asker, Facts, Gap, Platform, Probe, Settings } from '../model/facts.ts';
import { plainAdvice } from '../model/systems/index.ts';
import { type Capability, capabilities } from './capabilities.ts';
import { UnsupportedError } from './errors.ts';
import type { EventRequest, EventResult } from './events.ts';
import { bindByNode, hasIpv6, isShortage } from './node-bind.ts';
import type { Os } from './os.ts';

/**
 * @param reason Why it can do no more, a clause such as `only Linux has been run and tested`.
 * @param provides What the system that is built on it does itself.
 * @param because Why it lacks a capability, where there is another reason.
 */
export function portable(
  platform: string,
  reason: string,
  provides: readonly Capability[] = [],
  because: (capability: Capability) => string = (capability) =>
    `Cannot ${capabilities[capability]} on ${platform} yet: ${reason}`,
): Os {
  /** An object whose every function says that its capability is lacking. */
  const lacking = <T extends object>(capability: Capability, over: Partial<T> = {}): T =>
    new Proxy(over as T, {
      get: (target, name) =>
        Reflect.get(target, name) ??
        ((): never => {
          throw new UnsupportedError(because(capability));
        }),
    });
  const gap: Gap = {
    what: provides.includes('listSockets')
      ? `No process can be seen on ${platform}`
      : `No socket and no process can be seen on ${platform}`,
    why: 'ERR_REBIND_UNSUPPORTED',
    hint: `${capitalized(reason)}; the tools of the system show more, such as lsof or netstat`,
  };
  return {
    // The name is for messages; no rule of another platform is ever applied to it.
    platform: platform as Platform,
    rules: null,
    advice: plainAdvice,
    lacks: (capability) => (provides.includes(capability) ? null : because(capability)),
    readFacts: (): Facts => ({
      platform: platform as Platform,
      kernel: '',
      readAtMs: Date.now(),
      sockets: [],
      holders: new Map(),
      unseen: { sockets: true, processes: true },
      unixFile: null,
      users: new Map(),
      settings: settings(),
      asker: asker(),
      standings: new Map(),
      gaps: [gap],
    }),
    readInventory: () => {
      throw new UnsupportedError(because('listSockets'));
    },
    readSettings: settings,
    // As Node's own listen, which tries `::` first.
    hasIpv6: () => hasIpv6() ?? true,
    probe,
    readRedirects: () => [],
    readProcess: () => null,
    processes: lacking<Os['processes']>('identitySafeSignal', {
      terminal: () => 'none',
      waitsForInput: () => {
        throw new UnsupportedError(because('waitsForInput'));
      },
    }),
    sockets: lacking('ownSockets'),
    events: { wait: (what) => wait(what, because) },
    // Where there is nothing to take a lock with, nothing is kept from acting.
    channels: lacking<Os['channels']>('channels', { tryLock: () => ({ release: () => {} }) }),
    files: lacking('directories'),
    sessions: lacking('sessions'),
    orphans: lacking('orphans'),
    fileWatches: lacking('fileEvents'),
    streams: lacking('streams'),
    reaching: async () => (await import('./portable-reaching.ts')).portableReaching(asker, wayGap(platform, reason)),
  };
}

/** What `reach` cannot see where nothing but Node looks. */
function wayGap(platform: string, reason: string): Gap {
  return {
    what: `The way to the address cannot be seen on ${platform}`,
    why: 'ERR_REBIND_UNSUPPORTED',
    hint: capitalized(reason),
  };
}

function probe({ endpoint, options }: Request, gaps: Gap[] = []): Probe | null {
  if (endpoint.protocol === 'unix') return null;
  const answer = bindByNode(endpoint, options);
  if ('errno' in answer) return answer;
  gaps.push({
    what: 'Whether the system allows this bind could not be tried',
    why: answer.why,
    hint: isShortage(answer.why)
      ? 'This process has no descriptors or memory left: raise its limits, or run it again later'
      : 'Node cannot bind with these options here',
  });
  return null;
}

function settings(): Settings {
  return {
    automaticPorts: null,
    reservedPorts: [],
    firstUnprivilegedPort: null,
    mayBindPrivileged: null,
    mayAdministerNetwork: null,
    // As Node's own listen, which tries `::` first.
    ipv6: hasIpv6() ?? true,
    nonlocalBind: { v4: false, v6: false },
    localAddresses: addresses(),
  };
}

function addresses(): Settings['localAddresses'] {
  try {
    return Object.entries(process.getBuiltinModule('node:os').networkInterfaces()).flatMap(([device, all]) =>
      (all ?? []).map(({ address }) => ({ address, device })),
    );
  } catch {
    // A sandbox refuses what getifaddrs(3) asks; addresses are for sentences only.
    return [];
  }
}

function asker(): Asker {
  return {
    pid: process.pid,
    uid: process.geteuid?.() ?? 0,
    user: user(),
    cwd: process.cwd(),
    ancestors: [process.ppid],
    sudoUid: null,
    unit: null,
  };
}

function user(): string {
  try {
    return process.getBuiltinModule('node:os').userInfo().username;
  } catch {
    // No entry in the table of users.
    return String(process.geteuid?.() ?? 0);
  }
}

/** Timers only: what it cannot watch is an error, not a wait for ever. */
function wait(what: EventRequest, lacks: (capability: Capability) => string): Promise<EventResult> {
  return new Promise((resolve, reject) => {
    const { processes = [], port, descriptors = [], writable = [], timeoutMs, signal, ready } = what;
    if (port !== undefined) throw new UnsupportedError(lacks('socketEvents'));
    if (processes.length > 0) throw new UnsupportedError(lacks('identitySafeSignal'));
    if (descriptors.length + writable.length > 0) throw new UnsupportedError(lacks('ownSockets'));
    signal?.throwIfAborted();
    if (ready?.() === true) return resolve({ kind: 'ready' });
    if (timeoutMs === null) throw new UnsupportedError(lacks('socketEvents'));
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', abort);
        resolve({ kind: 'timeout' });
      },
      Math.min(Math.max(0, timeoutMs), 2 ** 31 - 1),
    );
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener('abort', abort, { once: true });
  });
}

function capitalized(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
