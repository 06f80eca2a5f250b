/**
 * A target is what a client wants to connect to. This file turns what a person types into a target and back. It resolves no names and
 * opens nothing.
 */
import { isIpv4, isIpv6, shortestIpv6 } from '../address.ts';
import { formatEndpoint, parseEndpoint, type UnixEndpoint } from '../endpoint.ts';
import { quoted } from '../text.ts';

/** The protocol above TCP that a client would speak. */
export type Speaks = 'http' | 'tls';

/** A host and a port. */
export interface InetTarget {
  readonly protocol: 'tcp' | 'udp';
  /** A host name, or an address without brackets. */
  readonly host: string;
  readonly port: number;
  /** What a URL asks for; null for a bare host and port. */
  readonly speaks: Speaks | null;
}

/** A Unix stream socket. */
export interface UnixTarget extends UnixEndpoint {
  readonly speaks: Speaks | null;
}

/** What a client wants to connect to. */
export type Target = InetTarget | UnixTarget;

/** A target, and what a URL says beside it. */
export interface ParsedTarget {
  readonly target: Target;
  /** The path and query that a request asks for; `/` without a URL. */
  readonly path: string;
  /** True for a URL: then one request is part of the question. */
  readonly url: boolean;
}

/** What the scheme of a URL says: its port and what it speaks (IANA service names; the URL standard for the special ones). */
const schemes: Readonly<Record<string, { readonly port: number; readonly speaks: Speaks | null }>> = {
  http: { port: 80, speaks: 'http' },
  ws: { port: 80, speaks: 'http' },
  https: { port: 443, speaks: 'tls' },
  wss: { port: 443, speaks: 'tls' },
  ftp: { port: 21, speaks: null },
  ssh: { port: 22, speaks: null },
  smtp: { port: 25, speaks: null },
  ldap: { port: 389, speaks: null },
  ldaps: { port: 636, speaks: 'tls' },
  amqp: { port: 5672, speaks: null },
  amqps: { port: 5671, speaks: 'tls' },
  mqtt: { port: 1883, speaks: null },
  mqtts: { port: 8883, speaks: 'tls' },
  mysql: { port: 3306, speaks: null },
  postgres: { port: 5432, speaks: null },
  postgresql: { port: 5432, speaks: null },
  redis: { port: 6379, speaks: null },
  rediss: { port: 6379, speaks: 'tls' },
  mongodb: { port: 27_017, speaks: null },
  nats: { port: 4222, speaks: null },
};

/**
 * Reads a target as a person types it.
 *
 * `3000` · `host:3000` · `[::1]:3000` · `http://localhost:5173/` · `udp/host:53` · `./app.sock`
 *
 * A bare port is a port of localhost.
 *
 * @throws {RangeError} with one sentence that says what is wrong and what would be right.
 * @example
 * ```ts
 * parseTarget('https://example.org').target; // { protocol: 'tcp', host: 'example.org', port: 443, speaks: 'tls' }
 * ```
 */
export function parseTarget(text: string): ParsedTarget {
  if (text === '')
    throw new RangeError(
      'A target is needed: a port such as 3000, a host and a port such as db.internal:5432, a URL, or a socket path',
    );
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return fromUrl(text);
  const endpoint = parseEndpoint(inAscii(text));
  if (endpoint.protocol === 'unix') return { target: { ...endpoint, speaks: null }, path: '/', url: false };
  const { protocol, port } = endpoint;
  const host = endpoint.host ?? 'localhost';
  return { target: { protocol, host, port, speaks: null }, path: '/', url: false };
}

/**
 * Writes a target as `parseTarget` would read it back, without what a URL adds.
 *
 * @example
 * ```ts
 * formatTarget({ protocol: 'tcp', host: '::1', port: 3000, speaks: null }); // '[::1]:3000'
 * ```
 */
export function formatTarget(target: Target): string {
  if (target.protocol === 'unix') return formatEndpoint(target);
  return formatEndpoint({ protocol: target.protocol, address: target.host, port: target.port });
}

/** True where the host is an address and needs no look-up. */
export function isLiteral(host: string): boolean {
  return isIpv4(host) || isIpv6(host);
}

function fromUrl(text: string): ParsedTarget {
  const fail = (reason: string): never => {
    throw new RangeError(`Cannot read ${quoted(text)} as a target: ${reason}`);
  };
  const scheme = /^[^:]+/.exec(text)?.[0].toLowerCase() ?? '';
  const known = schemes[scheme];
  let url: URL;
  try {
    // Only http and its kin have their host checked and made ASCII by the URL standard.
    url = new URL(known === undefined ? text : text.replace(/^[^:]+/, 'http'));
  } catch {
    return fail('it is not a valid URL');
  }
  // The default port of http is left out by the standard, whatever the scheme was.
  const typed = /^[^:]+:\/\/[^/?#]*:(\d+)(?:[/?#]|$)/.exec(text)?.[1];
  const port = typed === undefined ? known?.port : Number(typed);
  if (url.hostname === '') return fail('it names no host');
  if (port === undefined) return fail(`the port of ${quoted(`${scheme}:`)} is not known; add it after the host`);
  if (port < 1 || port > 65_535) return fail('a port is a whole number from 1 to 65535');
  const bare = url.hostname.replace(/^\[|\]$/g, '');
  const host = isIpv6(bare) ? shortestIpv6(bare) : bare;
  return {
    target: { protocol: 'tcp', host, port, speaks: known?.speaks ?? null },
    path: `${url.pathname || '/'}${url.search}`,
    url: known?.speaks === 'http' || known?.speaks === 'tls',
  };
}

/** A host with letters of other scripts as DNS spells it (IDNA); everything else as it is. */
function inAscii(text: string): string {
  if (!/[^\0-\x7f]/.test(text) || text.includes('/')) return text;
  const [, host = '', rest = ''] = /^(.*?)(:\d*)?$/.exec(text) ?? [];
  try {
    return new URL(`http://${host}`).hostname + rest;
  } catch {
    return text;
  }
}
