/**
 * Who would get which connections, on a system where one listener gets all of an address: the new server, or those that are there already.
 */
import type { InetSocket } from '../../model/facts.ts';
import { rulesFor } from '../../model/rules/index.ts';
import { binderOf } from '../../model/rules/rules.ts';
import { spanOf } from '../../model/rules/span.ts';
import type { Question } from '../../model/verdict.ts';

/** Connections of one kind, and the listener that gets them. */
export interface Delivery {
  /** In a sentence: `127.0.0.1`, `every other IPv4 address`. */
  readonly to: string;
  readonly socket: InetSocket;
}

export interface Deliveries {
  /** What the new server asks for, and a listener that is there would still get. */
  readonly kept: readonly Delivery[];
  /** What a listener gets now, and the new server would get. */
  readonly taken: readonly Delivery[];
}

/** Null on a system that spreads connections, or lets nobody share. */
export function deliveries(question: Question, listeners: readonly InetSocket[]): Deliveries | null {
  const { request, facts } = question;
  const { endpoint, options } = request;
  const receiver = rulesFor(facts.platform)?.receiver;
  if (receiver === undefined || endpoint.protocol !== 'tcp') return null;
  const binder = binderOf(endpoint, options, facts.asker.uid);
  // It is the newest.
  const mine: InetSocket = {
    ...({ ...listeners[0] } as InetSocket),
    protocol: 'tcp',
    family: binder.family,
    state: 'LISTEN',
    local: { address: binder.address, port: endpoint.port },
    v6Only: binder.v6Only,
    reusePort: binder.reusePort,
    uid: binder.uid,
  };
  const kept: Delivery[] = [];
  const taken: Delivery[] = [];
  for (const [to, address] of destinations(question)) {
    const before = receiver(address, listeners);
    const after = receiver(address, [mine, ...listeners]);
    if (after === mine) {
      if (before !== null) taken.push({ to, socket: before });
    } else if (after !== null && wants(binder, address)) kept.push({ to, socket: after });
  }
  return { kept, taken };
}

/** The loopback addresses, and one that stands for all the others of each family. */
function destinations({ request, facts }: Question): readonly (readonly [string, string])[] {
  const { endpoint } = request;
  const asked = endpoint.protocol === 'unix' ? '' : endpoint.address;
  const loopback = [
    ['127.0.0.1', '127.0.0.1'],
    ['::1', '::1'],
  ] as const;
  const isOther = (address: string): boolean => !loopback.some(([one]) => one === address);
  const others = facts.settings.localAddresses.map(({ address }) => address).filter(isOther);
  const v4 = others.find((address) => !address.includes(':'));
  const v6 = others.find((address) => address.includes(':') && !address.startsWith('fe80:'));
  const own = asked !== '' && isOther(asked) && !/^(::|0\.0\.0\.0)$/.test(asked) ? [[asked, asked] as const] : [];
  return [
    ...loopback,
    ...own,
    // Documentation addresses (RFC 5737, RFC 3849) where the machine has no other.
    ['other IPv4 addresses', v4 ?? '192.0.2.1'],
    ['other IPv6 addresses', v6 ?? '2001:db8::1'],
  ];
}

function wants(binder: { family: 4 | 6; address: string; v6Only: boolean }, address: string): boolean {
  const span = spanOf(binder);
  const covered = address.includes(':') ? span.v6 : span.v4;
  return covered === '*' || covered === address;
}
