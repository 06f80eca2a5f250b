/** Where the firewall of this machine forwards a port to. */
import type { InetEndpoint } from '../endpoint.ts';
import type { Address } from '../facts.ts';
import type { Firewall } from './evidence.ts';

/**
 * As conntrack says, or else the rule; only root sees either. An entry of a connection that was refused at once is gone at once
 * (nf_ct_kill_acct in nf_conntrack_proto_tcp.c), so that only the rule is left.
 */
export function forwardedTo(firewall: Firewall | null, { port }: InetEndpoint): Address | null {
  const tracked = firewall?.forwardedTo ?? null;
  if (tracked !== null) return tracked;
  for (const { verdict } of firewall?.rules ?? []) {
    const [, address, to] = /^dnat(?: ip6?)? to \[?([0-9a-f.:]+?)\]?(?::(\d+))?$/i.exec(verdict) ?? [];
    if (address !== undefined) return { address, port: to === undefined ? port : Number(to) };
  }
  return null;
}
