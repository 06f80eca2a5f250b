/**
 * Compares the Linux rules with bind and listen results that were read off a kernel, in the tables of one file:
 *
 * | table | a row |
 * |---|---|
 * | tcp | one socket in every state, a second one that binds its port and then listens |
 * | udp | the same for UDP, bind only |
 * | listen2 | two sockets that bind one port and then both listen |
 * | dev_rows | two sockets that are bound to devices |
 * | multi | one call among several sockets, out of random histories |
 *
 * The file's own `schema` entry documents the columns. A `multi` row with cacheCase 1 is one where the kernel's result
 * depends on history that the rules cannot see; those are counted apart, but the prediction has to allow them too.
 */
import { type Endpoint, nodeTcpOptions } from '../../src/model/endpoint.ts';
import type { Facts, InetSocket, Settings, SocketState } from '../../src/model/facts.ts';
import { linux } from '../../src/model/rules/linux.ts';
import { blocks, blocksAutomatic, type Known } from '../../src/model/rules/linux-conflict.ts';
import { refusals } from '../../src/model/rules/linux-refusal.ts';
import type { Binder } from '../../src/model/rules/rules.ts';
import { at, checkTables, compare, type Difference, names, numbers, type Row, type TableResult } from './rows.ts';

/** The tables, in the order in which they are printed. */
const tables = ['tcp', 'udp', 'listen2', 'dev_rows', 'multi'] as const;

type Table = (typeof tables)[number];

type Key = Record<'existingAddr' | 'newAddr' | 'src' | 'tcpState' | 'udpState' | 'dev', readonly string[]>;
type Verify = (row: Row, key: Key) => Difference | null;

const port = 40_000;
const success = 0;
const inUse = 98;
const notAvailable = 99;
const notTried = -1;

/** @throws {TypeError} when it is not such a document, or a row does not fit the schema. */
export function checkLinux(file: Record<string, unknown>): TableResult[] {
  const key: Key = {
    existingAddr: names(file, 'existingAddr'),
    newAddr: names(file, 'newAddr'),
    src: names(file, 'src'),
    tcpState: names(file, 'tcpState'),
    udpState: names(file, 'udpState'),
    dev: names(file, 'dev'),
  };
  const entries = tables.map((table) => [table, (row: Row) => verify[table](row, key)] as const);
  return checkTables(file, Object.fromEntries(entries), (table, row) => table === 'multi' && row[4] === 1);
}

const verify: Record<Table, Verify> = {
  tcp(row, key) {
    const [state, existingAddr, existingFlags, src, newAddr, newFlags, uidDiff, bindErrno, listenErrno] = numbers(
      row,
      9,
    );
    const existing = keyed(at(key.existingAddr, existingAddr), existingFlags, 0, null);
    const occupant = asOccupant(existing, statesByName[at(key.tcpState, state)], at(key.src, src));
    const binder = keyed(at(key.newAddr, newAddr), newFlags, uidDiff === 1 ? 1000 : 0, null);
    const bound = bind(binder, [occupant]);
    // listen(2) asks the same question again.
    return compare(
      row,
      [bindErrno, listenErrno],
      [bound, bound === success ? bind(binder, [occupant]) : notTried],
      () => allows(binder, [occupant], bindErrno),
    );
  },
  udp(row, key) {
    const [state, existingAddr, existingFlags, src, newAddr, newFlags, uidDiff, bindErrno] = numbers(row, 8);
    // This table's existingAddr counts in newAddr: read in existingAddr, a socket bound to ::1 would have a ::ffff: address.
    const existing = { ...keyed(at(key.newAddr, existingAddr), existingFlags, 0, null), protocol: 'udp' as const };
    const connected = at(key.udpState, state) !== 'bound';
    const occupant = asOccupant(
      existing,
      { state: connected ? 'ESTABLISHED' : 'BOUND', mini: false },
      at(key.src, src),
    );
    const binder = {
      ...keyed(at(key.newAddr, newAddr), newFlags, uidDiff === 1 ? 1000 : 0, null),
      protocol: 'udp' as const,
    };
    return compare(row, [bindErrno], [bind(binder, [occupant])], () => allows(binder, [occupant], bindErrno));
  },
  listen2(row, key) {
    const [addrA, flagsA, addrB, flagsB, uidDiff, ...kernel] = numbers(row, 8);
    const a = keyed(at(key.newAddr, addrA), flagsA, 0, null);
    const b = keyed(at(key.newAddr, addrB), flagsB, uidDiff === 1 ? 1000 : 0, null);
    const bindB = bind(b, [asOccupant(a, states.bound)]);
    const listenA = bind(a, bindB === success ? [asOccupant(b, states.bound)] : []);
    const stateOfA = listenA === success ? states.listen : states.bound;
    const listenB = bindB === success ? bind(b, [asOccupant(a, stateOfA)]) : notTried;
    return compare(row, kernel, [bindB, listenA, listenB]);
  },
  dev_rows(row, key) {
    const [addrA, listens, devA, flagsA, addrB, devB, flagsB, ...kernel] = numbers(row, 9);
    const a = keyed(at(key.newAddr, addrA), flagsA, 0, device(at(key.dev, devA)));
    const b = keyed(at(key.newAddr, addrB), flagsB, 0, device(at(key.dev, devB)));
    const occupants = [asOccupant(a, listens === 1 ? states.listen : states.bound)];
    const refused = refusals(b, port, twoDevices).some((refusal) => refusal.errno === 'EADDRNOTAVAIL');
    const bound = refused ? notAvailable : bind(b, occupants);
    return compare(row, kernel, [bound, bound === success ? bind(b, occupants) : notTried], () =>
      allows(b, occupants, kernel[0]),
    );
  },
  multi(row) {
    const [op, opener, existing, errno, cacheCase] = row;
    if (!Array.isArray(opener) || !Array.isArray(existing))
      throw new TypeError(`Row ${JSON.stringify(row)} is not of multi`);
    const binder = listed(opener);
    const occupants = existing.map((entry: Row) => asOccupant(listed(entry), at(numberedStates, Number(entry[7]))));
    const result =
      op === 1
        ? occupants.some((occupant) => blocksAutomatic(binder, occupant))
          ? inUse
          : success
        : bind(binder, occupants);
    const allowed = (): boolean => op !== 0 || allows(binder, occupants, Number(errno));
    if (cacheCase === 1) return compare(row, [], [], allowed);
    return compare(row, [Number(errno)], [result], allowed);
  },
};

const states = {
  bound: { state: 'BOUND', mini: false },
  listen: { state: 'LISTEN', mini: false },
} as const satisfies Record<string, State>;

interface State {
  readonly state: SocketState;
  readonly mini: boolean;
}

const statesByName: Record<string, State> = {
  bound: states.bound,
  listen: states.listen,
  estab_child: { state: 'ESTABLISHED', mini: false },
  fin_wait2_owned: { state: 'FIN_WAIT2', mini: false },
  fin_wait2_orphan: { state: 'FIN_WAIT2', mini: true },
  close_wait: { state: 'CLOSE_WAIT', mini: false },
  time_wait: { state: 'TIME_WAIT', mini: true },
  client_auto: { state: 'ESTABLISHED', mini: false },
  client_bind: { state: 'ESTABLISHED', mini: false },
  time_wait_client_auto: { state: 'TIME_WAIT', mini: true },
  time_wait_client_bind: { state: 'TIME_WAIT', mini: true },
  fin_wait1_orphan: { state: 'FIN_WAIT1', mini: false },
  closed_bound: states.bound,
};

const numberedStates: readonly State[] = [
  states.bound,
  states.listen,
  { state: 'ESTABLISHED', mini: false },
  { state: 'TIME_WAIT', mini: true },
];

/** The namespace that the rows were measured in: lo has the loopback addresses, v0 none. */
const twoDevices: Settings = {
  automaticPorts: [32_768, 60_999],
  reservedPorts: [],
  firstUnprivilegedPort: 1024,
  mayBindPrivileged: true,
  mayAdministerNetwork: true,
  ipv6: true,
  nonlocalBind: { v4: false, v6: false },
  localAddresses: [
    { address: '127.0.0.1', device: 'lo' },
    { address: '::1', device: 'lo' },
    { address: '10.0.0.1', device: 'v0' },
  ],
};

function bind(binder: Binder, occupants: readonly Known[]): number {
  return occupants.some((occupant) => blocks(binder, occupant)) ? inUse : success;
}

/** Whether the prediction from facts allows what the kernel did. */
function allows(binder: Binder, occupants: readonly Known[], errno: number | undefined): boolean {
  const { protocol, address, reuseAddress, reusePort, v6Only } = binder;
  const endpoint: Endpoint = { protocol, address, port };
  const options = { ...nodeTcpOptions, reuseAddress, reusePort, v6Only, device: binder.device };
  const prediction = linux.predict({ endpoint, options }, factsOf(binder, occupants));
  const outcome = errno === success ? null : errno === notAvailable ? 'EADDRNOTAVAIL' : 'EADDRINUSE';
  return prediction.possible.includes(outcome);
}

function factsOf(binder: Binder, occupants: readonly Known[]): Facts {
  const sockets = occupants.map(
    (occupant): InetSocket => ({
      ...occupant,
      protocol: binder.protocol,
      remote: null,
      inode: 0,
      autoPort: null,
      expiresInMs: null,
      queue: null,
      direction: null,
    }),
  );
  return {
    platform: 'linux',
    kernel: '6.18.44',
    readAtMs: 0,
    sockets,
    holders: new Map(),
    unseen: { sockets: false, processes: false },
    standings: new Map(),
    unixFile: null,
    users: new Map(),
    settings: twoDevices,
    asker: { pid: 2, uid: binder.uid, user: 'root', cwd: '/', ancestors: [1], sudoUid: null, unit: null },
    gaps: [],
  };
}

function asOccupant(socket: Binder, state: State | undefined, local = socket.address): Known {
  if (state === undefined) throw new TypeError('A row names a state that the file does not explain');
  const { family, uid, reuseAddress, reusePort, v6Only } = socket;
  const address = local === '::only' ? '::' : local;
  const linux = { cookie: null, mini: state.mini, cgroupId: null, mptcp: false };
  return {
    family,
    state: state.state,
    local: { address, port },
    uid,
    linux,
    reuseAddress,
    reusePort,
    v6Only,
    device: socket.device,
  };
}

/** A socket by the key of its address: `::only` is `::` with IPV6_V6ONLY, `::v4` a dual-stack `::` that was reached over IPv4. */
function keyed(name: string, flags: number | undefined, uid: number, boundTo: string | null): Binder {
  return {
    protocol: 'tcp',
    family: name.includes(':') ? 6 : 4,
    address: name === '::only' || name === '::v4' ? '::' : name,
    ...flagsOf(flags ?? 0),
    // A bind to one IPv6 address sets it by itself.
    v6Only: name === '::only' || name === '::1',
    device: boundTo,
    uid,
  };
}

/** A socket as `multi` writes it: family, address, v6only, reuse address, reuse port, device, uid. */
function listed(entry: Row): Binder {
  const [family, address, v6Only, reuseAddress, reusePort, boundTo, uid] = entry;
  if ((family !== 4 && family !== 6) || typeof address !== 'string' || typeof uid !== 'number') {
    throw new TypeError(`${JSON.stringify(entry)} is not a socket`);
  }
  return {
    protocol: 'tcp',
    family,
    address,
    v6Only: v6Only === 1,
    reuseAddress: reuseAddress === 1,
    reusePort: reusePort === 1,
    device: typeof boundTo === 'string' ? boundTo : null,
    uid,
  };
}

function flagsOf(bits: number): { reuseAddress: boolean; reusePort: boolean } {
  return { reuseAddress: (bits & 1) !== 0, reusePort: (bits & 2) !== 0 };
}

function device(name: string): string | null {
  return name === 'none' ? null : (name.split(' ')[0] ?? null);
}
