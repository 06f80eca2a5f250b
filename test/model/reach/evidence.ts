/** Evidence for tests of the judge: a quiet machine where nothing is in the way, changed by what a test says. */
import { causes, type ReachReport } from '../../../src/causes/connect/index.ts';
import type { Holder, InetSocket } from '../../../src/model/facts.ts';
import type {
  Attempt,
  Connected,
  HolderCondition,
  InetEvidence,
  NameEvidence,
  PortSocket,
} from '../../../src/model/reach/evidence.ts';
import { judge, type Seen } from '../../../src/model/reach/judge.ts';
import { adviceFor } from '../../../src/model/systems/index.ts';

export const port = 3000;

type TcpEvidence = InetEvidence & { readonly protocol: 'tcp' };

export function socket(over: Partial<PortSocket> = {}): PortSocket {
  const plain: InetSocket = {
    protocol: 'tcp',
    family: 4,
    state: 'LISTEN',
    local: { address: '127.0.0.1', port },
    remote: null,
    uid: 1000,
    inode: 7,
    reuseAddress: null,
    reusePort: null,
    v6Only: false,
    device: null,
    autoPort: null,
    expiresInMs: null,
    queue: { waiting: 0, limit: 511 },
    direction: null,
  };
  return { ...plain, drops: 0, unread: null, ...over };
}

export function condition(over: Partial<HolderCondition> = {}, holder: Partial<Holder> = {}): HolderCondition {
  return {
    holder: {
      pid: 41,
      started: '1',
      descriptors: [3],
      accepts: null,
      command: 'node',
      argv: ['node', 'server.js'],
      cwd: '/srv',
      uid: 1000,
      user: 'ann',
      startedAtMs: 0,
      processState: 'S',
      parents: [],
      unit: null,
      userUnit: false,
      cgroup: null,
      container: null,
      tracer: null,
      ...holder,
    },
    frozen: false,
    descriptors: { open: 20, limit: 1024 },
    busy: 0,
    waits: true,
    serves: null,
    certain: true,
    ...over,
  };
}

export function attempt(over: Partial<Attempt> = {}): Attempt {
  return {
    errno: null,
    by: null,
    elapsedMs: 0.2,
    local: { address: '127.0.0.1', port: 50_000 },
    refusals: [],
    counters: {
      'Ip.OutRequests': 3,
      'Ip.OutTransmits': 3,
      'Ip.InReceives': 3,
      'Ip.InDelivers': 3,
      'Tcp.OutRsts': 0,
    },
    sockets: null,
    ...over,
  };
}

export function connected(over: Partial<Connected> = {}): Connected {
  return {
    local: { address: '127.0.0.1', port: 50_000 },
    remote: { address: '127.0.0.1', port },
    mirror: { state: 'ESTABLISHED', inode: 9 },
    info: { unacknowledged: 0, retransmits: 0, sendWindow: null, notSent: null },
    first: { kind: 'silence', bytes: '', elapsedMs: 4 },
    request: null,
    tls: null,
    smallSegments: null,
    ...over,
  };
}

export function evidence(
  over: Partial<Omit<TcpEvidence, 'before'>> & { before?: Partial<InetEvidence['before']> } = {},
): TcpEvidence {
  const { before, ...rest } = over;
  return {
    protocol: 'tcp',
    endpoint: { protocol: 'tcp', address: '127.0.0.1', port },
    ours: true,
    attempt: null,
    again: null,
    connected: null,
    conditions: [],
    elsewhere: null,
    neighbourAfter: null,
    hops: null,
    firewall: null,
    gaps: [],
    ...rest,
    before: {
      dryRun: { errno: null, source: '127.0.0.1' },
      route: { errno: null, type: 'local', device: 'lo', gateway: null, source: '127.0.0.1', prefix: null },
      link: { device: 'lo', up: true, carrier: true, mtu: 65_536, kind: null },
      downDevices: null,
      neighbour: null,
      unusable: null,
      ipv6Disabled: null,
      lookup: { found: null },
      sockets: [],
      localPorts: null,
      descriptors: null,
      tracked: null,
      ...before,
    },
  };
}

/** The report on this evidence, as somebody asks who may see everything. */
export function judged(all: readonly Seen['evidence'][number][], over: Partial<Seen> = {}): ReachReport {
  return judge(
    {
      platform: 'linux',
      target: { protocol: 'tcp', host: '127.0.0.1', port, speaks: null },
      request: false,
      asker: { pid: 1, uid: 0, user: 'root', cwd: '/', ancestors: [], sudoUid: null, unit: null },
      advice: adviceFor('linux'),
      name: null,
      proxies: {},
      evidence: all,
      managers: new Map(),
      gaps: [],
      ...over,
    },
    causes,
  );
}

export function named(over: Partial<NameEvidence> = {}): NameEvidence {
  return {
    host: 'app.example',
    addresses: [],
    errno: null,
    elapsedMs: 1,
    hosts: [],
    dns: null,
    servers: null,
    searchDomains: [],
    ...over,
  };
}
