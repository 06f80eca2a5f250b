import { formatAddress, isIpv4, isIpv6, shortestIpv6 } from './address.ts';
import { escapeText, quoted } from './text.ts';

/**
 * An endpoint is where a program wants to listen; a request is an endpoint and the options of the planned bind.
 * This file turns what a person types into an endpoint and back. It resolves no names and opens nothing.
 */

/** An address and a port. `port` is 0 to 65535; 0 asks the kernel to choose. */
export interface InetEndpoint {
  readonly protocol: 'tcp' | 'udp';
  /** An IPv4 or IPv6 address in its shortest spelling, with `%zone` for a link-local one; a host name until `why` resolves it. */
  readonly address: string;
  readonly port: number;
}

/** A Unix stream socket. A path that begins with a NUL byte is in Linux's abstract namespace. */
export interface UnixEndpoint {
  readonly protocol: 'unix';
  readonly path: string;
}

/** Where a program wants to listen. */
export type Endpoint = InetEndpoint | UnixEndpoint;

/** The options that decide whether a bind collides (socket(7), ip(7), ipv6(7)). */
export interface BindOptions {
  /** SO_REUSEADDR. Node sets it on every TCP server on Unix, so it is the default. */
  readonly reuseAddress: boolean;
  /** SO_REUSEPORT. */
  readonly reusePort: boolean;
  /** IPV6_V6ONLY. */
  readonly v6Only: boolean;
  /** SO_BINDTODEVICE: an interface name, or null for any. */
  readonly device: string | null;
}

/** What somebody wants to bind, and how. */
export interface Request {
  readonly endpoint: Endpoint;
  readonly options: BindOptions;
}

/** What was typed: a bare port has no host, because the address Node would use depends on the machine. */
export type ParsedEndpoint =
  | { readonly protocol: 'tcp' | 'udp'; readonly host: string | null; readonly port: number }
  | UnixEndpoint;

/** How Node binds a TCP server on Unix (libuv sets SO_REUSEADDR and clears IPV6_V6ONLY). */
export const nodeTcpOptions: BindOptions = { reuseAddress: true, reusePort: false, v6Only: false, device: null };

/** How Node binds a UDP socket: no option at all (dgram `reuseAddr` is off by default). */
export const nodeUdpOptions: BindOptions = { reuseAddress: false, reusePort: false, v6Only: false, device: null };

/**
 * Reads an endpoint as a person types it.
 *
 * `3000` · `:3000` · `127.0.0.1:3000` · `[::1]:3000` · `localhost:3000` · `udp/53` · `udp/[::]:53` · `./app.sock` · `unix:/run/app.sock`
 *
 * @throws {RangeError} with one sentence that says what is wrong and what would be right.
 * @example
 * ```ts
 * parseEndpoint('udp/[::1]:53'); // { protocol: 'udp', host: '::1', port: 53 }
 * ```
 */
export function parseEndpoint(text: string): ParsedEndpoint {
  if (text === '')
    throw new RangeError(
      'An endpoint is needed: a port such as 3000, an address such as 127.0.0.1:3000, or a socket path such as ./app.sock',
    );
  if (text.startsWith('unix:')) return unixEndpoint(text.slice('unix:'.length), text);
  const [protocol, rest] = splitProtocol(text);
  if (protocol === null) {
    checkForeign(text);
    if (rest.includes('/') || rest.endsWith('.sock')) return unixEndpoint(rest, text);
  } else if (rest.includes('/')) {
    throw new RangeError(
      `Cannot read ${quoted(text)} as an endpoint: after ${protocol}/ comes a port or an address with a port, such as ${protocol}/127.0.0.1:53`,
    );
  }
  const { host, portText } = splitHost(rest, text);
  return { protocol: protocol ?? 'tcp', host, port: parsePort(portText, text) };
}

/**
 * Writes an endpoint as `parseEndpoint` would read it back.
 *
 * @example
 * ```ts
 * formatEndpoint({ protocol: 'tcp', address: '::1', port: 3000 }); // '[::1]:3000'
 * ```
 */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.protocol === 'unix')
    return /^\.{0,2}\//.test(endpoint.path) ? endpoint.path : `unix:${endpoint.path.replace(/^\0/, '@')}`;
  const text = formatAddress(endpoint.address, endpoint.port);
  return endpoint.protocol === 'udp' ? `udp/${text}` : text;
}

/**
 * An endpoint in the middle of a sentence, as a person would say it: the address only where it matters.
 *
 * @example
 * ```ts
 * endpointInWords({ protocol: 'tcp', address: '::', port: 3000 }); // 'port 3000'
 * endpointInWords({ protocol: 'udp', address: '127.0.0.1', port: 53 }); // 'UDP 127.0.0.1:53'
 * ```
 */
export function endpointInWords(endpoint: Endpoint): string {
  if (endpoint.protocol === 'unix') return formatEndpoint(endpoint);
  const { protocol, address, port } = endpoint;
  const udp = protocol === 'udp' ? 'UDP ' : '';
  return address === '::' || address === '0.0.0.0' ? `${udp}port ${port}` : `${udp}${formatAddress(address, port)}`;
}

function splitProtocol(text: string): ['tcp' | 'udp' | null, string] {
  if (text.startsWith('tcp/')) return ['tcp', text.slice(4)];
  if (text.startsWith('udp/')) return ['udp', text.slice(4)];
  return [null, text];
}

/**
 * What looks like an endpoint elsewhere, and would be read as the path of a socket or as a port here.
 *
 * @throws {RangeError}
 */
function checkForeign(text: string): void {
  if (/^[\d:]+$/.test(text)) return;
  const fail = (reason: string): never => {
    throw new RangeError(`Cannot read ${quoted(text)} as an endpoint: ${reason}`);
  };
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(text);
  if (url !== null) {
    const authority = (url[1] ?? '').replace(/^.*@/, '');
    const hint = /^[\w.:[\]-]+:\d+$/.test(authority) ? `try ${authority}` : 'try localhost:3000';
    fail(`a URL is not an endpoint; ${hint}`);
  }
  const word = /^([a-z][a-z0-9]*)\/((?:[\w.:[\]%-]*:)?\d+)$/i.exec(text);
  if (word !== null) {
    const [, name = '', place = ''] = word;
    const known = /^(tcp|udp)/i.exec(name)?.[0].toLowerCase();
    const hint = known === undefined ? `tcp/${place} or udp/${place}` : `${known}/${place}`;
    fail(`${quoted(name)} is not a protocol here; write ${hint}, or ./${text} for a socket with that path`);
  }
  const services = /^((?:[\w.:[\]%*-]*:)?\d+)\/(tcp|udp)$/i.exec(text);
  if (services !== null) {
    const [, place = '', name = ''] = services;
    fail(
      `the protocol stands in front here; write ${name.toLowerCase()}/${place}, or ./${text} for a socket with that path`,
    );
  }
  const colon = /^(tcp|udp):(.+)$/i.exec(text);
  if (colon !== null) fail(`write ${colon[1]?.toLowerCase()}/${escapeText(colon[2] ?? '')}`);
  if (/^@[\w.@-]+$/.test(text) && !text.endsWith('.sock'))
    fail(`for a socket in the abstract namespace write unix:${text}`);
  const looksLikeHost = text === 'localhost' || /^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+$/i.test(text);
  if (looksLikeHost && !text.endsWith('.sock')) fail(`a port must follow the host, such as ${text}:3000`);
}

function unixEndpoint(path: string, text: string): UnixEndpoint {
  if (path === '')
    throw new RangeError(`Cannot read ${quoted(text)} as an endpoint: the path of the socket is missing`);
  // '@name' is how ss(8) and /proc/net/unix write Linux's abstract namespace.
  const real = path.startsWith('@') ? `\0${path.slice(1)}` : path;
  if (real.includes('\0', 1))
    throw new RangeError(`Cannot read ${quoted(text)} as an endpoint: a socket path cannot hold a NUL byte`);
  return { protocol: 'unix', path: real };
}

function splitHost(rest: string, text: string): { host: string | null; portText: string } {
  if (rest.startsWith('[')) {
    const end = rest.indexOf(']');
    if (end < 0)
      throw new RangeError(
        `Cannot read ${quoted(text)} as an endpoint: the bracket before the IPv6 address is never closed`,
      );
    const host = rest.slice(1, end);
    if (!isIpv6(host))
      throw new RangeError(`Cannot read ${quoted(text)} as an endpoint: ${quoted(host)} is not an IPv6 address`);
    if (rest[end + 1] !== ':')
      throw new RangeError(
        `Cannot read ${quoted(text)} as an endpoint: a port must follow the address, such as [${host}]:3000`,
      );
    return { host: shortestIpv6(host), portText: rest.slice(end + 2) };
  }
  const colon = rest.lastIndexOf(':');
  if (colon < 0) {
    if (/^\d+\.\d+\.\d+\.\d+$/.test(rest))
      throw new RangeError(
        `Cannot read ${quoted(text)} as an endpoint: a port must follow the address, such as ${rest}:3000`,
      );
    return { host: null, portText: rest };
  }
  const host = rest.slice(0, colon);
  if (host.includes(':')) {
    throw new RangeError(
      `Cannot read ${quoted(text)} as an endpoint: an IPv6 address stands in brackets, such as [::1]:3000`,
    );
  }
  if (host !== '' && host !== '*') checkHost(host, text);
  return { host: host === '' || host === '*' ? null : host, portText: rest.slice(colon + 1) };
}

function checkHost(host: string, text: string): void {
  const looksNumeric = /^[\d.]+$/.test(host);
  if (looksNumeric ? isIpv4(host) : /^(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$/.test(host)) return;
  throw new RangeError(
    `Cannot read ${quoted(text)} as an endpoint: ${quoted(host)} is neither an IPv4 address nor a host name`,
  );
}

function parsePort(portText: string, text: string): number {
  if (!/^\d+$/.test(portText)) {
    throw new RangeError(
      `Cannot read ${quoted(text)} as an endpoint: a port is a whole number from 1 to 65535${portReason(portText, text)}`,
    );
  }
  const port = Number(portText);
  if (port < 1 || port > 65_535)
    throw new RangeError(`Cannot read ${quoted(text)} as an endpoint: a port is a whole number from 1 to 65535`);
  return port;
}

/** What is wrong with the port, unless the sentence has said it already. */
function portReason(portText: string, text: string): string {
  if (portText === '') return ', and none was given';
  return portText === text ? '' : `, not ${quoted(portText)}`;
}
