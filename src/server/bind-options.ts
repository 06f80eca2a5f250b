import { show } from '../check.ts';
import { encodeValue, type OptionName, type OptionValue } from '../os/options.ts';

/** What the raw socket is when `beforeBind` is called. */
export interface UnboundSocket {
  /** Made, not bound. Do not close it. */
  readonly descriptor: number;
  readonly family: 4 | 6;
}

/** Set before the bind, so that they decide about it, and so that accepted connections inherit them. */
export interface SocketOptions {
  /** SO_REUSEADDR. `false` refuses to share with leftovers of others; once it listens the flag is set, so that what it leaves behind blocks nobody. @default true for TCP, false for UDP */
  readonly reuseAddress?: boolean;
  /** SO_REUSEPORT: several processes of one user listen on the same port and share its connections. @default false */
  readonly reusePort?: boolean;
  /** IPV6_V6ONLY: `::` without IPv4. @default false */
  readonly v6Only?: boolean;
  /** SO_BINDTODEVICE: only packets of this interface. */
  readonly device?: string;
  /** IP_FREEBIND: the address need not exist yet. */
  readonly freeBind?: boolean;
  /** IP_TRANSPARENT: accept connections to addresses of others. Needs CAP_NET_ADMIN. */
  readonly transparent?: boolean;
  /** SO_MARK, for routing and firewall rules. Needs CAP_NET_ADMIN. */
  readonly mark?: number;
  /** TCP_DEFER_ACCEPT: connections that say nothing are not even seen. */
  readonly deferAccept?: { readonly seconds: number };
  /** TCP_FASTOPEN: how many fast-open connections may wait. */
  readonly fastOpen?: number;
  /** TCP_USER_TIMEOUT: how long sent data may stay unacknowledged. */
  readonly userTimeout?: { readonly ms: number };
  /** SO_KEEPALIVE. */
  readonly keepAlive?: boolean;
  /** TCP_KEEPIDLE: silence before the first probe. */
  readonly keepAliveIdle?: { readonly seconds: number };
  /** TCP_KEEPINTVL: time between probes. */
  readonly keepAliveInterval?: { readonly seconds: number };
  /** TCP_KEEPCNT: probes without an answer until the connection is given up. */
  readonly keepAliveCount?: number;
  /** Called with the raw socket after the other options are set and before it is bound: `setOption(socket.descriptor, …)`. */
  readonly beforeBind?: (socket: UnboundSocket) => void;
}

/** The name of an option that `listen` sets before the bind. */
export type SocketOptionName = keyof SocketOptions;

/** An option that the socket does not have, and why not. */
export interface UnsetOption {
  readonly option: SocketOptionName;
  /** A sentence without a full stop. */
  readonly why: string;
}

type Row = { readonly name: OptionName; readonly v6?: OptionName; readonly only?: 'tcp' | 'v6' };

const rows: { readonly [option in Exclude<SocketOptionName, 'beforeBind'>]: Row } = {
  reuseAddress: { name: 'SO_REUSEADDR' },
  reusePort: { name: 'SO_REUSEPORT' },
  v6Only: { name: 'IPV6_V6ONLY', only: 'v6' },
  device: { name: 'SO_BINDTODEVICE' },
  freeBind: { name: 'IP_FREEBIND', v6: 'IPV6_FREEBIND' },
  transparent: { name: 'IP_TRANSPARENT', v6: 'IPV6_TRANSPARENT' },
  mark: { name: 'SO_MARK' },
  deferAccept: { name: 'TCP_DEFER_ACCEPT', only: 'tcp' },
  fastOpen: { name: 'TCP_FASTOPEN', only: 'tcp' },
  userTimeout: { name: 'TCP_USER_TIMEOUT', only: 'tcp' },
  keepAlive: { name: 'SO_KEEPALIVE', only: 'tcp' },
  keepAliveIdle: { name: 'TCP_KEEPIDLE', only: 'tcp' },
  keepAliveInterval: { name: 'TCP_KEEPINTVL', only: 'tcp' },
  keepAliveCount: { name: 'TCP_KEEPCNT', only: 'tcp' },
};

/** @internal */
export const socketOptionNames: readonly SocketOptionName[] = [
  ...(Object.keys(rows) as SocketOptionName[]),
  'beforeBind',
];

/** @internal Without these the server would be reachable by others than was asked, so that not setting them is an error. */
export const requiredByDefault: readonly SocketOptionName[] = [
  'device',
  'freeBind',
  'transparent',
  'mark',
  'beforeBind',
  'v6Only',
];

/** @internal @throws {TypeError} {RangeError} for a value that the option cannot have, before anything is opened. */
export function checkSocketOptions(options: SocketOptions, protocol: 'tcp' | 'udp' | 'unix'): void {
  if (options.beforeBind !== undefined && typeof options.beforeBind !== 'function')
    throw new TypeError(`beforeBind is a function that takes the unbound socket, not ${show(options.beforeBind)}`);
  for (const option of asked(options)) {
    if (protocol === 'unix') throw new TypeError(`A Unix socket has no ${option}: leave it out, or listen on a port`);
    if (option === 'beforeBind') continue;
    const { name, only } = rows[option];
    if (only === 'tcp' && protocol === 'udp') throw new TypeError(`A UDP socket has no ${option}: leave it out`);
    encodeValue(name, options[option], option);
  }
}

/** @internal The options that were given. */
export function asked(options: SocketOptions): SocketOptionName[] {
  return socketOptionNames.filter((option) => options[option] !== undefined);
}

/** @internal The options that Node's own `listen` or `bind` cannot set to the value that was asked for. */
export function beyondNode(options: SocketOptions, protocol: 'tcp' | 'udp' | 'unix'): SocketOptionName[] {
  return asked(options).filter((option) => {
    if (option === 'v6Only') return protocol === 'udp' && options.v6Only === true;
    if (option === 'reusePort') return options.reusePort === true && !(protocol === 'tcp' && nodeHasReusePort());
    // libuv sets SO_REUSEADDR on every TCP listener on Unix, and never on Windows.
    if (option === 'reuseAddress') return options.reuseAddress !== (protocol === 'tcp' && process.platform !== 'win32');
    return options[option] !== false;
  });
}

/** @internal nodejs/node#55408: since 22.12 and 23.1; before, the option is ignored without a word. */
export function nodeHasReusePort(version = process.versions.node): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

/** @internal What an option of `listen` is called by the system. `beforeBind` needs no more than a socket. */
export function optionNamesOf(option: SocketOptionName): readonly OptionName[] {
  if (option === 'beforeBind') return ['SO_REUSEADDR'];
  const { name, v6 } = rows[option];
  return v6 === undefined ? [name] : [name, v6];
}

/** @internal The kernel's options for a family, with their values as bytes: to be set one after the other. */
export function kernelOptions(
  options: SocketOptions,
  family: 4 | 6,
  protocol: 'tcp' | 'udp',
): { option: SocketOptionName; name: OptionName; value: Buffer }[] {
  const all: SocketOptions = {
    reuseAddress: protocol === 'tcp',
    // Always said, as libuv does for TCP: net.ipv6.bindv6only would decide otherwise.
    v6Only: false,
    ...options,
  };
  const result: { option: SocketOptionName; name: OptionName; value: Buffer }[] = [];
  for (const option of asked(all)) {
    if (option === 'beforeBind') continue;
    const { name, v6, only } = rows[option];
    if (only === 'v6' && family === 4) continue;
    const chosen = family === 6 ? (v6 ?? name) : name;
    const value = all[option] as OptionValue<OptionName>;
    result.push({ option, name: chosen, value: encodeValue(chosen, value, option) });
  }
  return result;
}
