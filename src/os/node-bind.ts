/**
 * A throw-away bind by Node's own means, for a system or a moment without our system calls. Node sets some options by itself,
 * so its answer is passed on only where it must also be that of the planned bind.
 *
 * The handles have no documented names; where one is missing, the answer is "not known".
 */
import { getSystemErrorName } from 'node:util';
import { familyOf } from '../model/address.ts';
import type { InetEndpoint, Request } from '../model/endpoint.ts';
import type { Probe } from '../model/facts.ts';

/** libuv's flags of a bind (uv.h). */
const UV_TCP_IPV6ONLY = 1;
const UV_UDP_IPV6ONLY = 1;
const UV_UDP_REUSEADDR = 4;

interface Handle {
  bind(address: string, port: number, flags: number): number;
  /** UV_EADDRINUSE of a TCP bind is kept until it is asked for (uv__tcp_bind, `delayed_error`). */
  getsockname(out: { port?: number }): number;
  close(): void;
}

/** libuv sets SO_REUSEADDR on every TCP socket that it binds, except on Windows (uv__tcp_bind). */
const reusesByItself = process.platform !== 'win32';

/** What bind says of shortage, which is not an answer about the port. */
const shortage: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS']);

/** True for an errno that tells of a lack of descriptors or memory, and nothing of what was asked for. */
export function isShortage(code: string): boolean {
  return shortage.has(code);
}

/** The answer of the planned bind, or why it is not known: an errno, or `ERR_REBIND_UNSUPPORTED` where Node binds in another way. */
export function bindByNode(endpoint: InetEndpoint, options: Request['options']): Probe | { readonly why: string } {
  const unknown = { why: 'ERR_REBIND_UNSUPPORTED' };
  const { reuseAddress, reusePort, v6Only, device } = options;
  if (device !== null) return unknown;
  const isUdp = endpoint.protocol === 'udp';
  const probe = isUdp ? tryUdp(endpoint, reuseAddress, v6Only) : tryTcp(endpoint, v6Only);
  if (probe === null) return unknown;
  if (probe.errno !== null && isShortage(probe.errno)) return { why: probe.errno };
  const reused = isUdp ? reuseAddress : reusesByItself;
  const isFree = probe.errno === null;
  // Both options only ever let a bind pass that fails without them.
  if ((reused && !reuseAddress && isFree) || (!reused && reuseAddress && !isFree) || (reusePort && !isFree))
    return unknown;
  return probe;
}

/** Whether an IPv6 socket can be made and bound, as Node's own listen finds out; null when that is not known. */
export function hasIpv6(): boolean | null {
  const probe = tryTcp({ protocol: 'tcp', address: '::', port: 0 }, false);
  return probe === null || (probe.errno !== null && isShortage(probe.errno)) ? null : probe.errno === null;
}

function tryTcp({ address, port }: InetEndpoint, v6Only: boolean): Probe | null {
  type Factory = (address: string, port: number, type: 4 | 6, fd: undefined, flags: number) => Handle | number;
  const net = process.getBuiltinModule('node:net');
  const create = (net as unknown as { _createServerHandle?: Factory })._createServerHandle;
  if (typeof create !== 'function') return null;
  const family = familyOf(address);
  const handle = create(address, port, family, undefined, family === 6 && v6Only ? UV_TCP_IPV6ONLY : 0);
  return typeof handle === 'number' ? failed(handle, port) : answerOf(handle, 0, port);
}

function tryUdp({ address, port }: InetEndpoint, reuseAddress: boolean, v6Only: boolean): Probe | null {
  const family = familyOf(address);
  const socket = process.getBuiltinModule('node:dgram').createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    const state = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
    const held = state === undefined ? undefined : (socket as unknown as Record<symbol, { handle?: Handle }>)[state];
    if (typeof held?.handle?.bind !== 'function') return null;
    const flags = (reuseAddress ? UV_UDP_REUSEADDR : 0) | (family === 6 && v6Only ? UV_UDP_IPV6ONLY : 0);
    const result = held.handle.bind(address, port, flags);
    return result === 0 ? { errno: null, port: portOf(held.handle) ?? port } : failed(result, port);
  } finally {
    socket.close();
  }
}

function answerOf(handle: Handle, bound: number, port: number): Probe {
  try {
    const name: { port?: number } = {};
    const result = bound === 0 ? handle.getsockname(name) : bound;
    return result === 0 ? { errno: null, port: name.port ?? port } : failed(result, port);
  } finally {
    handle.close();
  }
}

function portOf(handle: Handle): number | undefined {
  const name: { port?: number } = {};
  handle.getsockname(name);
  return name.port;
}

function failed(errno: number, port: number): Probe {
  return { errno: getSystemErrorName(errno), port };
}
