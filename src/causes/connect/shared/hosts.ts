/** Situations that several causes of connecting stage: a client and a server with a router between them, or one host alone. */
import type { ConnectStage, ConnectStaged } from '../../../stage/connect/stage.ts';
import type { Host, Network } from '../../../stage/stage.ts';

/** How a host is asked about; what is left out is the server, by IPv4. */
export interface Across {
  readonly ipv6?: boolean;
  readonly udp?: boolean;
  /** @default the server's */
  readonly host?: string;
  readonly flags?: readonly string[];
  /** The one who asks. @default the client */
  readonly asks?: 'client' | 'router' | 'server';
}

/** A client asks for a port of the server across a router, after `prepare` has changed something about it. */
export async function across(
  stage: ConnectStage,
  description: string,
  prepare: (network: Network, port: number) => Promise<unknown>,
  { ipv6 = false, udp = false, host, flags = [], asks = 'client' }: Across = {},
): Promise<ConnectStaged> {
  const network = await stage.network();
  const port = stage.freePort();
  await prepare(network, port);
  const address = host ?? network.addresses.server[ipv6 ? 'ipv6' : 'ipv4'];
  return stage.reached({
    words: [target(address, port, udp), ...flags],
    description: description.replaceAll('PORT', String(port)),
    // A neighbour that was looked for in vain is remembered for some seconds.
    again: () =>
      Promise.all(
        [network.client, network.router].map((host) =>
          host.shell('ip neigh flush nud failed', 'ip neigh flush nud incomplete'),
        ),
      ),
    from: network[asks].enter,
    asUser: stage.unprivileged().askAs,
  });
}

/** One host asks for a port of its own, or of another, after `prepare` has changed something about it. */
export async function alone(
  stage: ConnectStage,
  description: string,
  prepare: (host: Host, port: number) => Promise<{ readonly pid: number } | unknown>,
  { ipv6 = false, udp = false, host: address, flags = [] }: Across = {},
): Promise<ConnectStaged> {
  const host = await stage.host();
  const port = stage.freePort();
  const server = await prepare(host, port);
  const holders = isServer(server) ? [server.pid] : [];
  return stage.reached({
    words: [target(address ?? (ipv6 ? '::1' : '127.0.0.1'), port, udp), ...flags],
    description: description.replaceAll('PORT', String(port)),
    holders,
    from: host.enter,
    asUser: stage.unprivileged().askAs,
  });
}

function isServer(value: unknown): value is { readonly pid: number } {
  return typeof value === 'object' && value !== null && 'pid' in value && typeof value.pid === 'number';
}

function target(address: string, port: number, udp: boolean): string {
  const text = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
  return udp ? `udp/${text}` : text;
}

/** A chain of the firewall with one rule. */
export function chain(hook: 'input' | 'output' | 'forward', rule: string): string {
  return `table inet stage { chain ${hook} { type filter hook ${hook} priority 0; ${rule}; }; }`;
}
