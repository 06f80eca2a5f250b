/**
 * One try to listen: through Node where Node can do all that is asked, else with a socket of our own.
 */

import type { Socket as UdpSocket } from 'node:dgram';
import type { Server } from 'node:net';
import { everyAddress } from '../model/address.ts';
import { isNativeError, isUnsupportedError, UnsupportedError } from '../os/errors.ts';
import type { Os } from '../os/os.ts';
import { isUdpSocket } from './arguments.ts';
import {
  beyondNode,
  optionNamesOf,
  requiredByDefault,
  type SocketOptionName,
  type UnsetOption,
} from './bind-options.ts';
import { openDescriptor } from './descriptor.ts';
import type { Plan } from './listen-plan.ts';
import { bindByNode, listenByNode, listenOnDescriptor } from './node-listen.ts';

/** Binds one port; rejects when that fails. */
export type Attempt = (port: number) => Promise<void>;

/** Through Node where Node can do all that is asked, else with a socket of our own. */
export async function chooseWay(plan: Plan): Promise<{ attempt: Attempt; unset: UnsetOption[] }> {
  const { options, protocol } = plan;
  const { fd } = options;
  if (fd !== undefined) return { attempt: () => onDescriptor(plan, fd), unset: [] };
  const beyond = beyondNode(options, protocol);
  if (protocol === 'unix' || beyond.length === 0) return { attempt: (port) => throughNode(plan, port), unset: [] };
  const why = await whyNotNative(plan);
  const unknown = why === null ? await unknownHere(beyond) : beyond.map((option) => ({ option, why }));
  const missing = unknown.filter(({ option }) => (options.required ?? requiredByDefault).includes(option));
  const [first] = missing;
  if (first !== undefined)
    throw new UnsupportedError(`Cannot set ${missing.map(({ option }) => option).join(', ')}: ${first.why}`);
  const names = unknown.map(({ option }) => option);
  if (names.length === beyond.length) return { attempt: (port) => throughNode(plan, port), unset: unknown };
  const known = { ...plan, options: without(options, names) };
  return { attempt: (port) => throughKernel(known, protocol, port), unset: unknown };
}

/** The options that this system does not have. */
async function unknownHere(options: readonly SocketOptionName[]): Promise<UnsetOption[]> {
  const { os } = await import('../os/index.ts');
  return options
    .filter((option) => !optionNamesOf(option).some((name) => os().sockets.hasOption(name)))
    .map((option) => ({
      option,
      why: `sockets have no such option on ${process.platform === 'darwin' ? 'macOS' : process.platform}`,
    }));
}

function without<Options extends object>(options: Options, names: readonly string[]): Options {
  return Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name))) as Options;
}

/** Null when sockets can be made here. */
async function whyNotNative({ options }: Plan): Promise<string | null> {
  if ((await isWorker()) && options.exclusive !== true && options.reusePort !== true)
    return 'in a cluster the primary makes the socket (ask for exclusive or reusePort to have one of its own)';
  try {
    const { os } = await import('../os/index.ts');
    // The cheapest call that needs the native part.
    os().sockets.close(os().sockets.open('udp', 4));
    return null;
  } catch (error) {
    if (isUnsupportedError(error)) return error.message;
    throw error;
  }
}

/** In a cluster worker Node's listen means a socket of the primary. */
export async function isWorker(): Promise<boolean> {
  const { default: cluster } = await import('node:cluster');
  return cluster.isWorker;
}

async function onDescriptor({ server, options, backlog }: Plan, fd: number): Promise<void> {
  if (isUdpSocket(server)) await bindByNode(server, { fd, exclusive: true }, options.signal);
  // As Node: in a cluster worker it is a descriptor of the primary.
  else await listenOnDescriptor(server, fd, backlog, false, options.signal);
}

async function throughNode({ server, options, protocol, backlog }: Plan, port: number): Promise<void> {
  const { host, path, exclusive, readableAll, writableAll, reusePort, v6Only, signal } = options;
  if (isUdpSocket(server)) {
    await bindByNode(server, { port, ...(host && { address: host }), exclusive: exclusive ?? false }, signal);
    return;
  }
  await listenByNode(
    server,
    {
      backlog,
      // Node 20 does not look at ipv6Only where there is no host.
      ...(protocol === 'unix' ? { path } : { port, host: host ?? (v6Only === true ? '::' : undefined) }),
      ...(exclusive !== undefined && { exclusive }),
      ...(readableAll !== undefined && { readableAll }),
      ...(writableAll !== undefined && { writableAll }),
      ...(v6Only !== undefined && { ipv6Only: v6Only }),
      ...(reusePort === true && { reusePort }),
    },
    signal,
  );
}

async function throughKernel(plan: Plan, protocol: 'tcp' | 'udp', port: number): Promise<void> {
  const { server, options, backlog } = plan;
  const { signal } = options;
  const [{ os: thisOs }, raw] = await Promise.all([import('../os/index.ts'), import('./raw-socket.ts')]);
  const os = thisOs();
  const addresses = await addressesOf(plan);
  signal?.throwIfAborted();
  for (const [index, address] of addresses.entries()) {
    let fd: number;
    try {
      fd = raw.bindRaw(os, protocol, address, port, options);
    } catch (error) {
      // As Node: without IPv6 the wildcard is 0.0.0.0.
      const last = index === addresses.length - 1;
      if (!last && isNativeError(error) && error.code !== 'EADDRINUSE' && error.syscall !== 'setsockopt') continue;
      throw asNode(error, protocol, address, port);
    }
    if (isUdpSocket(server)) {
      await owned(os, server, fd, () => bindByNode(server, { fd, exclusive: true }, signal));
      // libuv sets the flag on every UDP socket that it is given (uv_udp_open).
      raw.setReuseAddress(os, fd, options.reuseAddress ?? false);
      return;
    }
    try {
      os.sockets.listen(fd, backlog);
      if (options.reuseAddress === false) raw.letSuccessorsIn(os, fd);
    } catch (error) {
      os.sockets.close(fd);
      throw asNode(error, protocol, address, port);
    }
    const inWorker = await isWorker();
    await owned(os, server, fd, () => listenOnDescriptor(server as Server, fd, backlog, inWorker, signal));
    // Node's own name of what it listens on; it has none for a descriptor.
    (server as { _connectionKey?: string })._connectionKey = `${address.includes(':') ? 6 : 4}:${address}:${port}`;
    return;
  }
}

/** Hands a descriptor to Node. When that fails nothing stays open, and nothing is closed twice. */
export async function owned(
  os: Os,
  server: Server | UdpSocket,
  fd: number,
  handOver: () => Promise<void>,
): Promise<void> {
  const before = os.sockets.identity(fd);
  try {
    await handOver();
  } catch (error) {
    // Node has it: then only Node may close it. Else it closed what it took, and the number may belong to somebody else by now.
    const now = os.sockets.identity(fd);
    // Not its own property, by which a program's close() ends the whole `listen`: this is only a try.
    if (openDescriptor(server) === fd) Object.getPrototypeOf(server).close.call(server);
    else if (now !== null && now.inode === before?.inode && now.dev === before.dev) os.sockets.close(fd);
    throw error;
  }
}

async function addressesOf({ server, options }: Plan): Promise<string[]> {
  const { host } = options;
  const family = isUdpSocket(server) ? familyOfUdp(server) : 0;
  if (host === undefined || host === '') {
    if (family !== 0) return [family === 6 ? '::' : '0.0.0.0'];
    return [...everyAddress];
  }
  const { lookup } = await import('node:dns/promises');
  return [(await lookup(host, { family })).address];
}

function familyOfUdp(socket: UdpSocket): 4 | 6 {
  return (socket as { type?: string }).type === 'udp6' ? 6 : 4;
}

function asNode(error: unknown, protocol: 'tcp' | 'udp', address: string, port: number): unknown {
  if (!isNativeError(error) || error.syscall === 'setsockopt') return error;
  // Node says so of every step that makes a listener.
  const syscall = protocol === 'tcp' ? { syscall: 'listen' } : {};
  return Object.assign(error, { address, port }, syscall);
}
