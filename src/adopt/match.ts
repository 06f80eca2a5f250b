/**
 * Which of the held sockets a program means, read off the arguments of its bind: the host name is an address by then.
 */
import { statSync } from 'node:fs';
import type { Server } from 'node:net';
import { basename, dirname, resolve } from 'node:path';
import type { PassedSocket } from '../hold/wire/passed.ts';
import { isWildcard, shortestIpv6 } from '../model/address.ts';
import type { Endpoint } from '../model/endpoint.ts';

/** What a handle is about to be bound to. */
export type Wish =
  | {
      readonly protocol: 'tcp' | 'udp';
      readonly address: string;
      readonly port: number;
      readonly v6Only: boolean;
      /** Several sockets of one program may have the port. */
      readonly reusePort: boolean;
      /** SO_REUSEADDR of UDP, which lets several sockets have the port, too. */
      readonly reuseAddress: boolean;
    }
  /** `file` is device and inode of what is there; null when there is nothing. */
  | { readonly protocol: 'unix'; readonly path: string; readonly file: string | null };

/**
 * - `same`: the socket serves exactly what was asked for
 * - `typed`: it serves another address, and the person who typed that address wants this
 * - `narrow`: a bare port was typed, and the program asks for an address of it that is not held yet; hold can open it
 * - `no`: it is another endpoint
 */
export type Match = 'same' | 'typed' | 'narrow' | 'no';

/** @param fileOf The file of a path as `dev:inode`, which has many spellings; null where there is none. */
export function match(socket: PassedSocket, wish: Wish, fileOf: (path: string) => string | null): Match {
  const { endpoint, asked } = socket;
  if (endpoint.protocol === 'unix' || wish.protocol === 'unix') {
    if (endpoint.protocol !== 'unix' || wish.protocol !== 'unix') return 'no';
    const { fileIdentity } = socket;
    if (wish.file !== null && fileIdentity !== null) return wish.file === fileIdentity ? 'same' : 'no';
    if (isSameName(endpoint.path, wish.path, fileOf)) return 'same';
    return wish.file !== null && fileOf(endpoint.path) === wish.file ? 'same' : 'no';
  }
  if (endpoint.protocol !== wish.protocol) return 'no';
  const held = shortestIpv6(endpoint.address);
  const wanted = shortestIpv6(wish.address);
  if (asked !== null && asked.port === wish.port && shortestIpv6(asked.host ?? '::') === wanted) return 'same';
  if (endpoint.port !== wish.port) return 'no';
  const isV6 = wanted.includes(':');
  // A datagram handle of one family cannot send with a socket of the other.
  if (wish.protocol === 'udp' && socket.explicit && held.includes(':') !== isV6) return 'no';
  if (held === wanted && (wanted !== '::' || wish.v6Only === socket.v6Only)) return 'same';
  if (socket.explicit) {
    // Two different addresses that were both named: the program means another one.
    return isWildcard(wanted) || isWildcard(held) ? 'typed' : 'no';
  }
  if (isWildcard(held) && !socket.v6Only) return held === '::' || !isV6 ? 'narrow' : 'no';
  // The bare port was narrowed before, and an earlier run was served there.
  return covers(wanted, wish.v6Only, held) ? 'typed' : 'narrow';
}

/** The same entry of the same directory, in any spelling: for a file that the program has removed, as many do before they listen. */
function isSameName(one: string, other: string, fileOf: (path: string) => string | null): boolean {
  if (one === other) return true;
  if (one.startsWith('\0') || other.startsWith('\0') || basename(one) !== basename(other)) return false;
  const directory = fileOf(dirname(one));
  return directory !== null && directory === fileOf(dirname(other));
}

/** True when the wildcard address takes what comes to the other one. */
function covers(wildcard: string, v6Only: boolean, address: string): boolean {
  if (wildcard === '0.0.0.0') return !address.includes(':');
  return wildcard === '::' && (!v6Only || address.includes(':'));
}

/** Several sockets may have it, as the program says itself. */
export function isShared(wish: Wish): boolean {
  return wish.protocol !== 'unix' && wish.reusePort;
}

/** A bare port as it was opened, before any program asked for an address of it. */
export function isWide({ endpoint, explicit }: PassedSocket): boolean {
  return !explicit && endpoint.protocol !== 'unix' && (endpoint.address === '::' || endpoint.address === '0.0.0.0');
}

export function isAt(endpoint: Endpoint, address: ReturnType<Server['address']>): boolean {
  if (address === null) return false;
  if (typeof address === 'string') return endpoint.protocol === 'unix' && resolve(address) === endpoint.path;
  return endpoint.protocol === 'tcp' && endpoint.port === address.port && endpoint.address === address.address;
}

/** Device and inode, which a file has in every spelling of its path; null when there is none. */
export function fileOf(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

/** The path of a Unix socket as a wish; an abstract name stays as it is. */
export function wishOf(path: string): Wish {
  if (path.startsWith('\0')) return { protocol: 'unix', path, file: null };
  return { protocol: 'unix', path: resolve(path), file: fileOf(path) };
}

/** The path of a Unix socket; empty for any other. */
export function pathOf({ endpoint }: PassedSocket): string {
  return endpoint.protocol === 'unix' ? endpoint.path : '';
}

/** Flags of bind in Node's handles (deps/uv/include/uv.h): UV_TCP_IPV6ONLY and UV_UDP_IPV6ONLY, UV_TCP_REUSEPORT, UV_UDP_REUSEADDR, UV_UDP_REUSEPORT. */
const flag = { v6Only: 1, tcpReusePort: 2, udpReuseAddress: 4, udpReusePort: 8 };

/** A bind of a TCP handle as a wish. */
export function tcpWishOf(address: string, port: number, flags: number): InetWish {
  const reusePort = (flags & flag.tcpReusePort) !== 0;
  return { protocol: 'tcp', address, port, v6Only: (flags & flag.v6Only) !== 0, reusePort, reuseAddress: true };
}

/** A bind of a UDP handle as a wish. */
export function udpWishOf(address: string, port: number, flags: number): InetWish {
  const v6Only = (flags & flag.v6Only) !== 0;
  const reusePort = (flags & flag.udpReusePort) !== 0;
  return { protocol: 'udp', address, port, v6Only, reusePort, reuseAddress: (flags & flag.udpReuseAddress) !== 0 };
}

type InetWish = Exclude<Wish, { readonly protocol: 'unix' }>;
