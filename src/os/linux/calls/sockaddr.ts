/**
 * Socket addresses as the kernel takes them: struct sockaddr_in, sockaddr_in6 and sockaddr_un (ip(7), ipv6(7), unix(7)).
 */

import { familyOf, formatIpv6, isIpv4, parseIpv6 } from '../../../model/address.ts';
import type { InetEndpoint, UnixEndpoint } from '../../../model/endpoint.ts';
import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import { libc } from './libc.ts';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** Room for any address: sizeof(struct sockaddr_storage). */
export const sockaddrSize = 128;

const EINVAL = 22;
const ENAMETOOLONG = 36;

/**
 * Writes an address.
 *
 * @throws {NativeError} `EINVAL` for a host name, `ENAMETOOLONG` for a path that does not fit.
 */
export function encodeSockaddr(endpoint: InetEndpoint | UnixEndpoint): Buffer {
  if (endpoint.protocol === 'unix') return encodeUnix(endpoint.path);
  return familyOf(endpoint.address) === 4
    ? encodeIpv4(endpoint.address, endpoint.port)
    : encodeIpv6(endpoint.address, endpoint.port);
}

/** Reads what getsockname(2) wrote; `length` is what the kernel said is used. */
export function decodeSockaddr(bytes: Buffer, length: number, protocol: 'tcp' | 'udp'): InetEndpoint | UnixEndpoint {
  const family = littleEndian ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0);
  if (family === AF_UNIX) return { protocol: 'unix', path: decodePath(bytes.subarray(2, length)) };
  const port = bytes.readUInt16BE(2);
  if (family === AF_INET) return { protocol, address: bytes.subarray(4, 8).join('.'), port };
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(8 + 2 * index));
  const scope = littleEndian ? bytes.readUInt32LE(24) : bytes.readUInt32BE(24);
  return { protocol, address: formatIpv6(groups) + (scope === 0 ? '' : `%${deviceName(scope)}`), port };
}

/** The number of an interface, 0 when there is none of that name (if_nametoindex(3)). */
export function deviceIndex(name: string): number {
  return /^\d+$/.test(name) ? Number(name) : libc().if_nametoindex(name);
}

/** The name of an interface, or its number as text when it has none here. */
export function deviceName(index: number): string {
  const name = Buffer.alloc(16);
  const found = libc().if_indextoname(index, name);
  return found ? name.toString('utf8', 0, name.indexOf(0)) : String(index);
}

/** The bytes of an address in network order, of an IPv6 one without its zone; zeros for what is no address. */
export function addressBytes(address: string): Buffer {
  if (familyOf(address) === 4) return Buffer.from(address.split('.').map(Number));
  const groups = parseIpv6(address) ?? new Array<number>(8).fill(0);
  return Buffer.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

function header(size: number, family: number): Buffer {
  const bytes = Buffer.alloc(size);
  if (littleEndian) bytes.writeUInt16LE(family, 0);
  else bytes.writeUInt16BE(family, 0);
  return bytes;
}

function encodeIpv4(address: string, port: number): Buffer {
  if (!isIpv4(address)) throw new NativeError('bind', EINVAL, `${JSON.stringify(address)} is not an address`);
  const bytes = header(16, AF_INET);
  bytes.writeUInt16BE(port, 2);
  for (const [index, part] of address.split('.').entries()) bytes[4 + index] = Number(part);
  return bytes;
}

function encodeIpv6(address: string, port: number): Buffer {
  const groups = parseIpv6(address);
  if (groups === null) throw new NativeError('bind', EINVAL, `${JSON.stringify(address)} is not an address`);
  const bytes = header(28, AF_INET6);
  bytes.writeUInt16BE(port, 2);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(group, 8 + 2 * index);
  const zone = /%(.+)$/.exec(address)?.[1];
  if (zone !== undefined) {
    // As libuv (uv_ip6_addr): a zone that names no interface is none, and a number is no name.
    const scope = libc().if_nametoindex(zone);
    if (littleEndian) bytes.writeUInt32LE(scope, 24);
    else bytes.writeUInt32BE(scope, 24);
  }
  return bytes;
}

function encodeUnix(path: string): Buffer {
  const name = Buffer.from(path);
  // A path needs its NUL byte; an abstract name begins with one and ends with the length.
  const abstract = name[0] === 0;
  const size = 2 + name.length + (abstract ? 0 : 1);
  if (size > 110) throw new NativeError('bind', ENAMETOOLONG, 'a socket path holds at most 107 bytes');
  const bytes = header(size, AF_UNIX);
  name.copy(bytes, 2);
  return bytes;
}

function decodePath(bytes: Buffer): string {
  if (bytes.length === 0) return '';
  if (bytes[0] === 0) return bytes.toString('utf8');
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}
