/**
 * When sockets keep another one from a port on macOS: in_pcbbind and in6_pcbbind of xnu (bsd/netinet/in_pcb.c, bsd/netinet6/in6_pcb.c),
 * the same from 10.14 to 15.5. Checked against results of Apple's own code by `npm run vectors`.
 *
 * Every socket of the port is looked at only through `lookup`, which finds one; that one decides.
 */
import type { InetSocket } from '../facts.ts';
import type { Conflict } from '../verdict.ts';
import type { Binder } from './rules.ts';
import { canonical, mapped } from './span.ts';

/** A socket that has the port, as far as the rules look at it. */
export type DarwinOccupant = Pick<
  InetSocket,
  'family' | 'state' | 'local' | 'uid' | 'reuseAddress' | 'reusePort' | 'v6Only' | 'darwin'
>;

/** What one search of the kernel says of the bind, and who decides it: the newest of those that match equally well. */
export interface Verdict {
  readonly decider: DarwinOccupant;
  readonly conflict: Conflict;
  /** False when the oldest of the equals would decide otherwise: the order of the list is that of socket(2), the kernel's that of bind(2). */
  readonly ordered: boolean;
}

type Family = 4 | 6;
type Refuses = (found: DarwinOccupant) => Conflict;

/** Where a socket is found: the families of its packets, and its address in them. */
interface View {
  readonly families: readonly Family[];
  /** `*` for every address. */
  readonly address: string;
  readonly isConnected: boolean;
}

/**
 * Every search that the bind makes and that finds a socket, in the kernel's order. The bind fails when one of them refuses.
 *
 * @param newestFirst The sockets of the same protocol and port.
 */
export function searches(binder: Binder, newestFirst: readonly DarwinOccupant[]): readonly Verdict[] {
  const { address, families } = viewOfBinder(binder);
  const isPlain = !binder.reuseAddress && !binder.reusePort;
  const isRoot = binder.uid === 0;
  const found: Verdict[] = [];
  const search = (family: Family, to: string, any: boolean, refuses: Refuses): void => {
    const equals = lookup(newestFirst, family, to, any);
    const [decider] = equals;
    if (decider === undefined) return;
    const conflict = refuses(decider);
    found.push({ decider, conflict, ordered: equals.every((other) => refuses(other) === conflict) });
  };
  const isGuarded = !isRoot && !isMulticast(address);
  const isMine = (other: DarwinOccupant): boolean => binder.uid === other.uid;
  const isShared = (other: DarwinOccupant): boolean | null => sharesPort(binder, address, other);
  if (!families.includes(6)) {
    if (isGuarded)
      search(4, address, true, (other) =>
        unless(or(isMine(other) || (address === '*' && isWild(other)), sharesUsers(other))),
      );
    const isMapped = (other: DarwinOccupant): boolean => binder.family === 6 && other.family === 6;
    search(4, address, isPlain, (other) =>
      unless(or(address === '*' && isWild(other) && isMapped(other), isShared(other))),
    );
    return found;
  }
  const isDual = families.includes(4);
  const isPlainIpv4 = (other: DarwinOccupant): boolean => other.family === 4 && isWild(other);
  if (isGuarded) {
    search(6, address, true, (other) =>
      unless(or(isMine(other), address === '*' && isWild(other) ? other.reusePort : false)),
    );
    if (isDual) search(4, '*', true, (other) => unless(or(isMine(other) || isPlainIpv4(other), other.reusePort)));
  }
  search(6, address, isPlain, (other) => unless(isShared(other)));
  if (isDual) search(4, '*', isPlain, (other) => unless(or(isPlainIpv4(other), isShared(other))));
  return found;
}

/** Whether the bind fails with EADDRINUSE. */
export function conflictOf(verdicts: readonly Verdict[]): Conflict {
  if (verdicts.some(({ conflict, ordered }) => conflict === 'yes' && ordered)) return 'yes';
  return verdicts.every(({ conflict, ordered }) => conflict === 'no' && ordered) ? 'no' : 'maybe';
}

/**
 * Whether bind(0) may choose a port that these sockets have. IPv4 looks at every socket, whatever the flags; IPv6, `::` too, at those
 * of IPv6 only, so that it may choose the port of an IPv4 server (in6_pcbsetport).
 */
export function mayChoose(binder: Binder, occupants: readonly DarwinOccupant[]): boolean {
  const { address, families } = viewOfBinder(binder);
  if (!families.includes(6)) return lookup(occupants, 4, address, true).length === 0;
  return lookup(occupants, 6, address, !binder.reuseAddress && !binder.reusePort).length === 0;
}

/** What bind(0) answers when it can choose no port: in_pcbbind and in6_pcbsetport differ, and a mapped address is IPv4. */
export function whenFull(binder: Binder): 'EAGAIN' | 'EADDRNOTAVAIL' {
  return viewOfBinder(binder).families.includes(6) ? 'EAGAIN' : 'EADDRNOTAVAIL';
}

/**
 * The listener that gets the connections to an address (in_pcblookup_hash): one on exactly that address, else one on every address,
 * where a socket of IPv4 comes before a dual-stack one. Of several on the address the newest, of several wildcards the oldest.
 */
export function receiverOf<Socket extends DarwinOccupant>(to: string, newestFirst: readonly Socket[]): Socket | null {
  const plain = canonical(to);
  const family: Family = plain.includes(':') ? 6 : 4;
  const listening = newestFirst.filter((socket) => viewOf(socket).families.includes(family));
  const exact = listening.find((socket) => viewOf(socket).address === plain);
  if (exact !== undefined) return exact;
  const wild = listening.filter(isWild).reverse();
  return wild.find((socket) => socket.family === family) ?? wild[0] ?? null;
}

/**
 * in_pcblookup_local. Without `any` the newest unconnected socket on exactly this address; with it the nearest of all: best is the same
 * address and no connection. All equals come, the newest first.
 */
function lookup(
  newestFirst: readonly DarwinOccupant[],
  family: Family,
  address: string,
  any: boolean,
): readonly DarwinOccupant[] {
  let best = Number.POSITIVE_INFINITY;
  let equals: DarwinOccupant[] = [];
  for (const occupant of newestFirst) {
    if (occupant.darwin?.userSpace) continue;
    const view = viewOf(occupant);
    if (!view.families.includes(family)) continue;
    const exact = view.address === address;
    if (!any && (view.isConnected || !exact)) continue;
    if (!exact && address !== '*' && view.address !== '*') continue;
    const points = (view.isConnected ? 1 : 0) + (exact ? 0 : 1);
    if (points > best) continue;
    if (points < best) equals = [];
    best = points;
    equals.push(occupant);
  }
  return equals;
}

const views = new WeakMap<DarwinOccupant, View>();

function viewOf(occupant: DarwinOccupant): View {
  const known = views.get(occupant);
  if (known !== undefined) return known;
  const { family, state, local, v6Only } = occupant;
  const isConnected = state !== 'LISTEN' && state !== 'BOUND';
  const view = { ...placeOf(family, local.address, v6Only === true || isConnected), isConnected };
  views.set(occupant, view);
  return view;
}

function viewOfBinder({ family, address, v6Only }: Binder): Pick<View, 'families' | 'address'> {
  return placeOf(family, address, v6Only);
}

/** `::` has both families while it is not connected, unless IPV6_V6ONLY is set; a mapped address is IPv4. */
function placeOf(family: Family, bound: string, only6: boolean): Pick<View, 'families' | 'address'> {
  const address = canonical(bound);
  if (family === 4) return { families: [4], address: address === '0.0.0.0' ? '*' : address };
  if (address.startsWith(mapped)) {
    const v4 = address.slice(mapped.length);
    return { families: [4], address: v4 === '0.0.0.0' ? '*' : v4 };
  }
  if (address === '::') return { families: only6 ? [6] : [6, 4], address: '*' };
  return { families: [6], address };
}

function isWild(occupant: DarwinOccupant): boolean {
  return viewOf(occupant).address === '*';
}

function isMulticast(address: string): boolean {
  return /^(22[4-9]|23\d)\./.test(address) || /^ff[0-9a-f]{2}:/.test(address);
}

/** SO_REUSEPORT on both; on a multicast address SO_REUSEADDR of the new one counts as both flags. */
function sharesPort(binder: Binder, address: string, { reuseAddress, reusePort }: DarwinOccupant): boolean | null {
  if (isMulticast(address) && binder.reuseAddress) return or(reusePort === true || reuseAddress === true, reusePort);
  return binder.reusePort ? reusePort : false;
}

function sharesUsers({ darwin }: DarwinOccupant): boolean | null {
  return darwin === undefined ? false : darwin.sharesUsers;
}

function or(certain: boolean, hidden: boolean | null): boolean | null {
  return certain || hidden;
}

/** What a permission, which may be hidden, leaves of a refusal. */
function unless(permitted: boolean | null): Conflict {
  if (permitted === null) return 'maybe';
  return permitted ? 'no' : 'yes';
}
