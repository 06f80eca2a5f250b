/**
 * From what was typed or passed to a request: the endpoint, its address, and the options of the bind.
 */

import { nameOf } from '../check.ts';
import { everyAddress, isIpv4, isIpv6, shortestIpv6 } from '../model/address.ts';
import {
  type BindOptions,
  type Endpoint,
  nodeTcpOptions,
  nodeUdpOptions,
  type ParsedEndpoint,
  parseEndpoint,
  type Request,
} from '../model/endpoint.ts';
import type { HolderSearch } from '../model/facts.ts';
import { escapeText } from '../model/text.ts';
import type { Os } from '../os/os.ts';

/** `port` and `host` as in Node's `server.listen`; `path` for a Unix socket. */
export type ListenLike =
  | { readonly port: number; readonly host?: string | undefined; readonly protocol?: 'tcp' | 'udp' | undefined }
  | { readonly path: string };

/** A port, a text such as `[::1]:3000` or `unix:/run/app.sock`, what `server.listen` takes, or an endpoint. */
export type WhyEndpoint = string | number | ListenLike | Endpoint;

/** With what the endpoint will be bound, and how closely to look. */
export interface WhyOptions {
  /** SO_REUSEADDR of the planned bind. @default true for TCP, as Node sets it, false for UDP */
  readonly reuseAddress?: boolean;
  /** SO_REUSEPORT. @default false */
  readonly reusePort?: boolean;
  /** IPV6_V6ONLY. @default false */
  readonly v6Only?: boolean;
  /** SO_BINDTODEVICE. @default null */
  readonly device?: string | null;
  /**
   * How far to look for the processes that have a blocker open. `likely` stops where it finds one; `all` looks into every process.
   * @default 'likely'
   */
  readonly holders?: HolderSearch;
  /** Aborting rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** @internal The options that are about the bind, and the signal: those of `free` and `wait`, too. */
export const bindOptionNames = Object.keys({
  reuseAddress: true,
  reusePort: true,
  v6Only: true,
  device: true,
  signal: true,
} satisfies Record<keyof Omit<WhyOptions, 'holders'>, true>);

/**
 * @internal
 * Reads what `why` takes. Resolves nothing.
 *
 * @throws {TypeError}
 * @throws {RangeError}
 */
export function readEndpoint(endpoint: WhyEndpoint): ParsedEndpoint {
  if (typeof endpoint === 'number') return { protocol: 'tcp', host: null, port: checkPort(endpoint) };
  if (typeof endpoint === 'string') return parseEndpoint(endpoint);
  if (typeof endpoint !== 'object' || endpoint === null) {
    throw new TypeError(`An endpoint is a port, a text, or an object with port or path: received ${nameOf(endpoint)}`);
  }
  const { protocol, path, port, host, address } = endpoint as Record<string, unknown>;
  if (path !== undefined) return checkPath(path);
  if (protocol !== undefined && protocol !== 'tcp' && protocol !== 'udp') {
    throw new RangeError(`protocol must be tcp or udp: received ${nameOf(protocol)}`);
  }
  const where = address ?? host;
  if (where !== undefined && where !== null && typeof where !== 'string') {
    throw new TypeError(`host must be a string: received ${nameOf(where)}`);
  }
  // An empty host is no host, as for server.listen.
  const text = where === undefined || where === null || where === '' ? null : where;
  return { protocol: protocol ?? 'tcp', host: text, port: checkPort(port) };
}

/**
 * @internal
 * The request for an endpoint: its address as Node's `listen` would choose it, and the options with Node's defaults.
 *
 * @throws {RangeError} when a host name has no address; `cause` is the error of the look-up.
 */
export async function resolveRequest(parsed: ParsedEndpoint, options: WhyOptions, os: Os): Promise<Request> {
  if (parsed.protocol === 'unix') return { endpoint: parsed, options: bindOptions(nodeTcpOptions, options) };
  const { protocol, port } = parsed;
  const address = await resolveHost(parsed.host, os);
  const defaults = protocol === 'udp' ? nodeUdpOptions : nodeTcpOptions;
  return { endpoint: { protocol, address, port }, options: bindOptions(defaults, options) };
}

function bindOptions(defaults: BindOptions, given: WhyOptions): BindOptions {
  return {
    reuseAddress: given.reuseAddress ?? defaults.reuseAddress,
    reusePort: given.reusePort ?? defaults.reusePort,
    v6Only: given.v6Only ?? defaults.v6Only,
    device: given.device ?? defaults.device,
  };
}

async function resolveHost(host: string | null, os: Os): Promise<string> {
  // Node tries `::` first and falls back to 0.0.0.0 where there is no IPv6 (net.Server.listen).
  if (host === null) return everyAddress[os.hasIpv6() ? 0 : 1];
  if (isIpv4(host)) return host;
  if (isIpv6(host)) return shortestIpv6(host);
  return lookUp(host);
}

/** @throws {RangeError} with a sentence when the name has no address. */
async function lookUp(host: string): Promise<string> {
  const { lookup } = await import('node:dns/promises');
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new RangeError(
      `Cannot find the address of "${escapeText(host)}" (${code}): check its spelling, /etc/hosts, and the variable it comes from, such as HOST`,
      { cause },
    );
  }
}

function checkPort(port: unknown): number {
  if (typeof port !== 'number') throw new TypeError(`port must be a number: received ${nameOf(port)}`);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port must be a whole number from 0 to 65535: received ${port}`);
  }
  return port;
}

function checkPath(path: unknown): ParsedEndpoint {
  if (typeof path !== 'string') throw new TypeError(`path must be a string: received ${nameOf(path)}`);
  if (path === '') throw new RangeError('path must not be empty');
  if (path.includes('\0', 1)) throw new RangeError('path must not hold a NUL byte after its first');
  return { protocol: 'unix', path };
}

/** @internal @throws {TypeError} @throws {RangeError} for an option that means nothing. */
export function checkBindOptions(options: WhyOptions): void {
  for (const name of ['reuseAddress', 'reusePort', 'v6Only'] as const) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'boolean') {
      throw new TypeError(`${name} must be true or false: received ${nameOf(value)}`);
    }
  }
  const device: unknown = options.device;
  if (device !== undefined && device !== null && (typeof device !== 'string' || device === '')) {
    throw new TypeError(`device must be the name of an interface: received ${nameOf(device)}`);
  }
  const holders: unknown = options.holders;
  if (holders !== undefined && holders !== 'none' && holders !== 'likely' && holders !== 'all') {
    throw new RangeError(`holders must be none, likely or all: received ${nameOf(holders)}`);
  }
}

/** @internal Where an endpoint as it was typed can be bound: a bare port first dual-stack, then IPv4, as Node does. */
export async function addressesOf(parsed: ParsedEndpoint): Promise<Endpoint[]> {
  if (parsed.protocol === 'unix') return [parsed];
  const { protocol, port, host } = parsed;
  if (host === null) return everyAddress.map((address) => ({ protocol, address, port }));
  if (isIpv4(host) || isIpv6(host)) return [{ protocol, address: host, port }];
  return [{ protocol, address: await lookUp(host), port }];
}
