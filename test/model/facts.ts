/** Sockets and facts for the pure tests: every field has a plain value, a test names the ones that matter. */
import { type BindOptions, type Endpoint, nodeTcpOptions, type Request } from '../../src/model/endpoint.ts';
import type { Facts, Holder, InetSocket, LinuxSocket, Settings, UnixFile, UnixSocket } from '../../src/model/facts.ts';

export const port = 3000;

export function socket({
  cookie = null,
  mini = false,
  cgroupId = null,
  mptcp = false,
  ...over
}: Partial<InetSocket & LinuxSocket> = {}): InetSocket {
  const address = over.local?.address ?? '0.0.0.0';
  return {
    protocol: 'tcp',
    family: address.includes(':') ? 6 : 4,
    state: 'LISTEN',
    local: { address, port },
    remote: null,
    uid: 1000,
    inode: 7001,
    reuseAddress: false,
    reusePort: false,
    v6Only: false,
    device: null,
    autoPort: false,
    expiresInMs: null,
    queue: null,
    direction: null,
    linux: { cookie, mini, cgroupId, mptcp },
    ...over,
  };
}

export function at(address: string): { local: InetSocket['local']; family: 4 | 6 } {
  return { local: { address, port }, family: address.includes(':') ? 6 : 4 };
}

export function unixSocket(over: Partial<UnixSocket> = {}): UnixSocket {
  const queue = null;
  return {
    protocol: 'unix',
    type: 'stream',
    state: 'LISTEN',
    path: '/run/app',
    inode: 7002,
    uid: 1000,
    queue,
    elsewhere: false,
    ...over,
  };
}

export function unixFile(over: Partial<UnixFile> = {}): UnixFile {
  return {
    kind: 'none',
    inode: null,
    uid: null,
    inUse: over.kind === 'socket' ? false : null,
    empty: null,
    creatable: true,
    errno: null,
    fileSystem: 'ext4',
    holdsSockets: true,
    cutTo: null,
    ...over,
  };
}

export const settings: Settings = {
  automaticPorts: [32_768, 60_999],
  reservedPorts: [],
  firstUnprivilegedPort: 1024,
  mayBindPrivileged: false,
  mayAdministerNetwork: false,
  ipv6: true,
  nonlocalBind: { v4: false, v6: false },
  localAddresses: [
    { address: '127.0.0.1', device: 'lo' },
    { address: '::1', device: 'lo' },
    { address: '192.0.2.7', device: 'eth0' },
    { address: '2001:db8::7', device: 'eth0' },
    { address: 'fe80::7', device: 'eth0' },
  ],
};

export function facts(over: Partial<Facts> = {}): Facts {
  return {
    platform: 'linux',
    kernel: '6.18.44',
    readAtMs: 1_700_000_000_000,
    sockets: [],
    holders: new Map(),
    unseen: { sockets: false, processes: false },
    standings: new Map(),
    unixFile: null,
    users: new Map(),
    settings,
    asker: { pid: 50, uid: 1000, user: 'ann', cwd: '/home/ann', ancestors: [49, 1], sudoUid: null, unit: null },
    gaps: [],
    ...over,
  };
}

export function holder(over: Partial<Holder> = {}): Holder {
  return {
    pid: 41,
    started: '1234',
    descriptors: [3],
    accepts: null,
    command: 'node',
    argv: ['node', 'server.js'],
    cwd: '/srv/shop',
    uid: 1000,
    user: 'ann',
    startedAtMs: 1_700_000_000_000,
    processState: 'S',
    parents: [{ pid: 1, command: 'init' }],
    unit: null,
    userUnit: false,
    cgroup: null,
    container: null,
    tracer: null,
    ...over,
  };
}

export function request(endpoint: Partial<Endpoint> = {}, options: Partial<BindOptions> = {}): Request {
  const full = (
    endpoint.protocol === 'unix' ? endpoint : { protocol: 'tcp', address: '0.0.0.0', port, ...endpoint }
  ) as Endpoint;
  return { endpoint: full, options: { ...nodeTcpOptions, ...options } };
}
