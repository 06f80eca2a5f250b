/**
 * The local ports that are in use towards one address and port: what is left decides about EADDRNOTAVAIL of connect(2) (__inet_hash_connect).
 */
import type { InetEndpoint } from '../../../model/endpoint.ts';
import type { Gap } from '../../../model/facts.ts';
import { readTowards } from '../netlink/sock-diag.ts';
import { ask } from './port-sockets.ts';

/** How many ports of the range have a connection to it, also one that is closing. Null where the kernel does not tell. */
export function portsTowards(to: InetEndpoint, [first, last]: readonly [number, number], gaps: Gap[]): number | null {
  return ask(gaps, `How many connections to ${to.address} exist cannot be seen`, (kernel) => {
    const used = new Set<number>();
    for (const { local, remote } of readTowards(kernel, to.port))
      if (remote?.address === to.address && local.port >= first && local.port <= last) used.add(local.port);
    return used.size;
  });
}
