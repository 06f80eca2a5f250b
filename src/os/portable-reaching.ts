/**
 * The instruments of `reach` that Node alone has: it can try, and say what came. Why is a gap.
 */
import type { Socket } from 'node:net';
import { familyOf } from '../model/address.ts';
import type { InetEndpoint } from '../model/endpoint.ts';
import type { Asker, Gap } from '../model/facts.ts';
import type { Attempt, Datagram, Reply } from '../model/reach/evidence.ts';
import { UnsupportedError } from './errors.ts';
import type { AttemptOptions, ReachConnection, Reaching } from './reaching.ts';

const replyBytes = 4096;

/** Loaded by who tries: it takes long to start. */
const net = (): typeof import('node:net') => process.getBuiltinModule('node:net');

/** @param gap What cannot be seen here, and why. */
export function portableReaching(asker: () => Asker, gap: Gap): Reaching {
  return {
    asker,
    enterNamespaceOf() {
      throw new UnsupportedError(`Cannot look from inside another network namespace: ${gap.hint}`);
    },
    exitNow: () => {},
    nameFiles: () => ({ hosts: null, searchDomains: [], nameServers: [] }),
    before(_to, gaps) {
      gaps.push(gap);
      return {
        dryRun: null,
        route: null,
        link: null,
        downDevices: null,
        neighbour: null,
        unusable: null,
        ipv6Disabled: null,
        lookup: null,
        sockets: null,
        localPorts: null,
        descriptors: null,
        tracked: null,
      };
    },
    elsewhere: () => null,
    attempt: (to, options) => attempt(to, options),
    datagram: (to, payload, options) => datagram(to, payload, options),
    conditions: async () => [],
    walk: async () => null,
    firewall: () => null,
    async unix(path, { connect: tries, request, timeoutMs }, gaps) {
      gaps.push(gap);
      const stat = { errno: null, inode: null, device: null, mode: null, danglingLink: false, stuckAt: null };
      const nothing = { protocol: 'unix', path, file: null, stat, sockets: null, otherRoot: null } as const;
      if (!tries) return { ...nothing, attempt: null, first: null, request: null };
      const started = performance.now();
      const { errno, socket } = await open({ path }, timeoutMs, undefined);
      const tried = { errno, elapsedMs: performance.now() - started, peer: null };
      if (socket === null) return { ...nothing, attempt: tried, first: null, request: null };
      if (request !== null) socket.write(request);
      const reply = request === null ? null : await readFrom(socket, timeoutMs, undefined);
      socket.destroy();
      return { ...nothing, attempt: tried, first: null, request: reply };
    },
  };
}

async function attempt(
  { address, port }: InetEndpoint,
  { timeoutMs, signal }: AttemptOptions,
): Promise<{ attempt: Attempt; connection: ReachConnection | null }> {
  const started = performance.now();
  const { errno, socket } = await open({ host: address, port }, timeoutMs, signal);
  const local = socket === null ? null : { address: socket.localAddress ?? '', port: socket.localPort ?? 0 };
  return {
    attempt: {
      errno,
      by: errno === null || errno === 'ETIMEDOUT' ? null : 'later',
      elapsedMs: performance.now() - started,
      local,
      refusals: [],
      counters: {},
      sockets: null,
    },
    connection: socket === null || local === null ? null : connectionOf(socket, local, { address, port }),
  };
}

function connectionOf(
  socket: Socket,
  local: { address: string; port: number },
  remote: { address: string; port: number },
): ReachConnection {
  return {
    look: () => ({ local, remote, mirror: null, info: null }),
    read: (timeoutMs, signal) => readFrom(socket, timeoutMs, signal),
    send: (bytes) => {
      socket.write(bytes);
      return true;
    },
    close: () => socket.destroy(),
  };
}

/** A socket that is connected and paused, or the errno. Never longer than the timeout. */
function open(
  to: { path: string } | { host: string; port: number },
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<{ errno: string | null; socket: Socket | null }> {
  return new Promise((resolve, reject) => {
    const socket = net().connect(to);
    const finish = (errno: string | null): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      socket.removeAllListeners();
      // What comes later is read, or of no interest.
      socket.on('error', () => {});
      if (errno !== null) socket.destroy();
      else socket.pause();
      resolve({ errno, socket: errno === null ? socket : null });
    };
    const abort = (): void => {
      finish('ETIMEDOUT');
      reject(signal?.reason);
    };
    const timer = setTimeout(() => finish('ETIMEDOUT'), timeoutMs);
    signal?.addEventListener('abort', abort, { once: true });
    socket.once('connect', () => finish(null));
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? 'EIO'));
  });
}

function readFrom(socket: Socket, timeoutMs: number, signal: AbortSignal | undefined): Promise<Reply> {
  const started = performance.now();
  return new Promise((resolve) => {
    const finish = (kind: Reply['kind'], bytes: Buffer = Buffer.alloc(0)): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      for (const name of ['data', 'end', 'error', 'close']) socket.removeAllListeners(name);
      socket.on('error', () => {});
      socket.pause();
      const elapsedMs = performance.now() - started;
      resolve({ kind, bytes: bytes.subarray(0, replyBytes).toString('base64'), elapsedMs });
    };
    const stop = (): void => finish('silence');
    const timer = setTimeout(stop, timeoutMs);
    signal?.addEventListener('abort', stop, { once: true });
    socket.once('data', (bytes) => finish('bytes', Buffer.from(bytes)));
    socket.once('end', () => finish('end'));
    socket.once('error', () => finish('reset'));
    socket.once('close', () => finish('end'));
    socket.resume();
  });
}

function datagram(
  { address, port }: InetEndpoint,
  payload: Uint8Array,
  { timeoutMs, signal }: AttemptOptions,
): Promise<Datagram> {
  const started = performance.now();
  return new Promise((resolve) => {
    const { createSocket } = process.getBuiltinModule('node:dgram');
    const socket = createSocket(familyOf(address) === 4 ? 'udp4' : 'udp6');
    const finish = (errno: string | null, kind: Reply['kind'], bytes: Buffer = Buffer.alloc(0)): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      socket.removeAllListeners();
      socket.on('error', () => {});
      socket.close();
      const reply: Reply = {
        kind,
        bytes: bytes.subarray(0, replyBytes).toString('base64'),
        elapsedMs: performance.now() - started,
      };
      resolve({ errno, by: errno === null ? null : 'later', refusals: [], counters: {}, reply, sockets: null });
    };
    const stop = (): void => finish(null, 'silence');
    const timer = setTimeout(stop, timeoutMs);
    signal?.addEventListener('abort', stop, { once: true });
    socket.once('error', (error: NodeJS.ErrnoException) => finish(error.code ?? 'EIO', 'silence'));
    socket.once('message', (bytes) => finish(null, 'bytes', bytes));
    socket.connect(port, address, () => socket.send(payload));
  });
}
