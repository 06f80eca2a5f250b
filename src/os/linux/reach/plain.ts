/**
 * The way to an address where the kernel may not be asked by netlink: from the files of /proc/net. They name no member of a SO_REUSEPORT group,
 * no device and no IPV6_V6ONLY, so the listener that would get a connection is the likeliest one.
 */
import type { InetEndpoint } from '../../../model/endpoint.ts';
import { listenersOn } from '../../../model/listeners-on.ts';
import type { Before, PortSocket, Route } from '../../../model/reach/evidence.ts';
import { withDevice } from '../inet-sockets.ts';
import { readAddresses } from '../netlink/addresses.ts';
import { type Proc, ProcError } from '../proc/proc.ts';
import { readProcNet } from '../proc/proc-net.ts';

/** Listeners, of UDP every socket of the port; null where /proc does not show them either. */
export function plainSockets(proc: Proc, { protocol, port }: InetEndpoint): readonly PortSocket[] | null {
  try {
    return readProcNet(proc, protocol, port)
      .rows.filter(({ state }) => protocol === 'udp' || state === 'LISTEN')
      .map((row) => ({ ...withDevice(row), drops: null, unread: null }));
  } catch (error) {
    if (error instanceof ProcError) return null;
    throw error;
  }
}

/** Only that an address is one of this machine's can be told. */
export function plainRoute(proc: Proc, { address }: InetEndpoint): Route | null {
  const plain = (text: string): string => text.replace(/%.*$/, '');
  const own = readAddresses(proc).find((each) => plain(each.address) === plain(address));
  const isOurs = own !== undefined || address.startsWith('127.') || address === '0.0.0.0' || address === '::';
  if (!isOurs) return null;
  return { errno: null, type: 'local', device: own?.device ?? 'lo', gateway: null, source: null, prefix: null };
}

/** The listener of the address itself before one of every address. */
export function plainLookup(to: InetEndpoint, sockets: readonly PortSocket[]): NonNullable<Before['lookup']> {
  const fitting = listenersOn(to, sockets) as PortSocket[];
  return { found: fitting.find(({ local }) => local.address === to.address) ?? fitting[0] ?? null };
}
