/**
 * Socket addresses as XNU takes them: their length comes first (sys/socket.h, netinet/in.h, netinet6/in6.h, sys/un.h).
 */
import { familyOf, formatIpv6, isIpv4, parseIpv6 } from '../../model/address.ts';
import type { InetEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import type { LibSystem } from './lib-system.ts';
import { AF_INET, AF_INET6, AF_UNIX, failure, maxUnixPath } from './numbers.ts';

/** Room for any address: sizeof(struct sockaddr_storage). */
export const sockaddrSize = 128;

const EINVAL = 22;
const ENAMETOOLONG = 63;

/** What a zone needs. */
type Interfaces = Pick<LibSystem, 'if_nametoindex' | 'if_indextoname'>;

/** @throws {NativeError} `EINVAL` for a host name, `ENAMETOOLONG` for a path that does not fit. */
export function encodeSockaddr(endpoint: InetEndpoint | UnixEndpoint, lib: Interfaces): Buffer {
  if (endpoint.protocol === 'unix') return encodeUnix(endpoint.path);
  return familyOf(endpoint.address) === 4
    ? encodeIpv4(endpoint.address, endpoint.port)
    : encodeIpv6(endpoint.address, endpoint.port, lib);
}

/** Reads what getsockname(2) wrote; `length` is what the kernel said is used. */
export function decodeSockaddr(
  bytes: Buffer,
  length: number,
  protocol: 'tcp' | 'udp',
  lib: Interfaces,
): InetEndpoint | UnixEndpoint {
  const family = bytes[1] ?? 0;
  const used = Math.min(length, bytes.length);
  if (family === AF_UNIX || used < 16) {
    const path = bytes.subarray(2, Math.max(2, used));
    const end = path.indexOf(0);
    return { protocol: 'unix', path: path.toString('utf8', 0, end < 0 ? path.length : end) };
  }
  const port = bytes.readUInt16BE(2);
  if (family !== AF_INET6 || used < 28) return { protocol, address: [...bytes.subarray(4, 8)].join('.'), port };
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(8 + 2 * index));
  const scope = bytes.readUInt32LE(24);
  return { protocol, address: formatIpv6(groups) + (scope === 0 ? '' : `%${interfaceName(scope, lib)}`), port };
}

/** The name of an interface, or its number as text when it has none here. */
function interfaceName(index: number, lib: Interfaces): string {
  const name = Buffer.alloc(16);
  return lib.if_indextoname(index, name) ? name.toString('utf8', 0, Math.max(0, name.indexOf(0))) : String(index);
}

function header(size: number, family: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes[0] = size;
  bytes[1] = family;
  return bytes;
}

function encodeIpv4(address: string, port: number): Buffer {
  if (!isIpv4(address)) throw failure('bind', EINVAL, `${JSON.stringify(address)} is not an address`);
  const bytes = header(16, AF_INET);
  bytes.writeUInt16BE(port, 2);
  for (const [index, part] of address.split('.').entries()) bytes[4 + index] = Number(part);
  return bytes;
}

function encodeIpv6(address: string, port: number, lib: Interfaces): Buffer {
  const groups = parseIpv6(address);
  if (groups === null) throw failure('bind', EINVAL, `${JSON.stringify(address)} is not an address`);
  const bytes = header(28, AF_INET6);
  bytes.writeUInt16BE(port, 2);
  for (const [index, group] of groups.entries()) bytes.writeUInt16BE(group, 8 + 2 * index);
  const zone = /%(.+)$/.exec(address)?.[1];
  // As libuv (uv_ip6_addr): a zone that names no interface is none, and a number is no name.
  if (zone !== undefined) bytes.writeUInt32LE(lib.if_nametoindex(zone), 24);
  return bytes;
}

function encodeUnix(path: string): Buffer {
  const name = Buffer.from(path);
  if (name.length >= maxUnixPath)
    throw failure('bind', ENAMETOOLONG, `a socket path holds at most ${maxUnixPath - 1} bytes`);
  const bytes = header(2 + name.length + 1, AF_UNIX);
  name.copy(bytes, 2);
  return bytes;
}
