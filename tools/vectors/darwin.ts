/**
 * Compares the macOS rules with what Apple's own code answered, in the tables of one file:
 *
 * | table | a row |
 * |---|---|
 * | tcp, udp | one socket in every state, a second one that binds its port, and for TCP then listens |
 * | listen2 | two sockets that bind one port and then both listen |
 * | multi | one bind, or bind(0), among several sockets |
 * | multicast | two UDP sockets of one port |
 * | privileged, restricted, address | one bind and no other socket |
 *
 * The file's own `schema` entry documents the columns.
 */
import { type Endpoint, nodeTcpOptions } from '../../src/model/endpoint.ts';
import type { Facts, InetSocket, Settings, SocketState } from '../../src/model/facts.ts';
import { darwin } from '../../src/model/rules/darwin.ts';
import { mayChoose, searches, whenFull } from '../../src/model/rules/darwin-conflict.ts';
import type { Binder } from '../../src/model/rules/rules.ts';
import { at, checkTables, compare, type Difference, names, numbers, type Row, type TableResult } from './rows.ts';

const success = 0;
const inUse = 48;
const notTried = -1;
const errnos: Readonly<Record<number, string>> = {
  13: 'EACCES',
  22: 'EINVAL',
  35: 'EAGAIN',
  47: 'EAFNOSUPPORT',
  48: 'EADDRINUSE',
  49: 'EADDRNOTAVAIL',
};
const [user, another] = [501, 502];
const uids = [0, user, another];

/** xnu-7195 is of macOS 11.5. */
const kernel = '20.6.0';

/** @throws {TypeError} when it is not such a document, or a row does not fit the schema. */
export function checkDarwin(file: Record<string, unknown>): TableResult[] {
  const existingAddr = names(file, 'existingAddr');
  const newAddr = names(file, 'newAddr');
  const srcs = names(file, 'src');
  const tcpState = names(file, 'tcpState');
  const udpState = names(file, 'udpState');
  const multicastAddr = names(file, 'multicastAddr');
  const newUid = (uidRel: number | undefined): number => (uidRel === 1 ? another : user);

  const one = (
    protocol: 'tcp' | 'udp',
    row: readonly number[],
    states: readonly string[],
    olds: readonly string[],
  ): [Binder, InetSocket] => {
    const [state, old, oldFlags, src, to, flags, uidRel] = row;
    const existing = keyed(protocol, at(olds, old), oldFlags, user);
    return [
      keyed(protocol, at(newAddr, to), flags, newUid(uidRel)),
      asSocket(existing, statesByName[at(states, state)], at(srcs, src)),
    ];
  };

  return checkTables(file, {
    tcp(row) {
      const cells = numbers(row, 9);
      const [binder, occupant] = one('tcp', cells, tcpState, existingAddr);
      const bound = bind(binder, [occupant]);
      // Listening never fails after a bind.
      const rules = [bound, bound === success ? success : notTried];
      return compare(row, cells.slice(7), rules, () => allows(binder, [occupant], cells[7]));
    },
    udp(row) {
      const cells = numbers(row, 8);
      const [binder, occupant] = one('udp', cells, udpState, existingAddr);
      return compare(row, cells.slice(7), [bind(binder, [occupant])], () => allows(binder, [occupant], cells[7]));
    },
    listen2(row) {
      const [addrA, flagsA, addrB, flagsB, uidRel, ...answered] = numbers(row, 8);
      const a = keyed('tcp', at(newAddr, addrA), flagsA, user);
      const b = keyed('tcp', at(newAddr, addrB), flagsB, newUid(uidRel));
      const bound = bind(b, [asSocket(a, 'BOUND')]);
      return compare(row, answered, [bound, success, bound === success ? success : notTried]);
    },
    multi(row) {
      const [protocol, op, opener, existing, errno] = row;
      if (!Array.isArray(opener) || !Array.isArray(existing))
        throw new TypeError(`Row ${JSON.stringify(row)} is not of multi`);
      const name = protocol === 17 ? 'udp' : 'tcp';
      const [to, flags, uid] = numbers(opener, 3);
      const binder = keyed(name, at(newAddr, to), flags, at(uids, uid));
      const newestFirst = existing
        .map((entry: Row) => {
          const [bound, itsFlags, itsUid, state, src] = numbers(entry, 5);
          const old = keyed(name, at(newAddr, bound), itsFlags, at(uids, itsUid));
          return asSocket(old, at(numberedStates, state), at(srcs, src));
        })
        .reverse();
      if (op !== 1)
        return compare(row, [errno], [bind(binder, newestFirst)], () => allows(binder, newestFirst, Number(errno)));
      const full = whenFull(binder) === 'EAGAIN' ? 35 : 49;
      return compare(row, [errno], [mayChoose(binder, newestFirst) ? success : full]);
    },
    privileged(row) {
      const [protocol, port, to, uid, errno] = numbers(row, 5);
      return alone(row, { protocol, address: at(newAddr, to), uid: uid === 0 ? 0 : user, port: port ?? 0 }, errno);
    },
    restricted(row) {
      const [protocol, to, uid, errno] = numbers(row, 4);
      return alone(row, { protocol, address: at(newAddr, to), uid: uid === 0 ? 0 : user, port: 55_555 }, errno);
    },
    address(row) {
      const [protocol, address, flags, errno] = row;
      if (typeof address !== 'string') throw new TypeError(`Row ${JSON.stringify(row)} names no address`);
      return alone(
        row,
        { protocol: Number(protocol), address, flags: Number(flags), uid: user, port: 3000 },
        Number(errno),
      );
    },
    multicast(row) {
      const [addrA, flagsA, addrB, flagsB, uidRel, errno] = numbers(row, 6);
      const old = asSocket(keyed('udp', at(multicastAddr, addrA), flagsA, user), 'BOUND');
      const binder = keyed('udp', at(multicastAddr, addrB), flagsB, newUid(uidRel));
      return compare(row, [errno], [bind(binder, [old])], () => allows(binder, [old], errno));
    },
  });
}

/** One bind, and nothing else on the machine. */
function alone(
  row: Row,
  { protocol, address, flags = 0, uid, port }: Asked,
  errno: number | undefined,
): Difference | null {
  const binder = keyed(protocol === 1 ? 'udp' : 'tcp', address, flags, uid);
  const [first = null] = possible(binder, [], port);
  return compare(row, [errno === success ? null : (errnos[Number(errno)] ?? String(errno))], [first]);
}

interface Asked {
  readonly protocol: number | undefined;
  readonly address: string;
  readonly flags?: number;
  readonly uid: number;
  readonly port: number;
}

const statesByName: Readonly<Record<string, SocketState>> = {
  bound: 'BOUND',
  listen: 'LISTEN',
  estab_child: 'ESTABLISHED',
  fin_wait2_owned: 'FIN_WAIT2',
  fin_wait2_orphan: 'FIN_WAIT2',
  close_wait: 'CLOSE_WAIT',
  time_wait: 'TIME_WAIT',
  client_auto: 'ESTABLISHED',
  client_bind: 'ESTABLISHED',
  time_wait_client_auto: 'TIME_WAIT',
  time_wait_client_bind: 'TIME_WAIT',
  fin_wait1_orphan: 'FIN_WAIT1',
  last_ack_orphan: 'LAST_ACK',
  syn_sent: 'SYN_SENT',
  // The two of UDP.
  connected_bound: 'ESTABLISHED',
  connected_auto: 'ESTABLISHED',
};

const numberedStates: readonly SocketState[] = ['BOUND', 'LISTEN', 'ESTABLISHED', 'TIME_WAIT'];

function bind(binder: Binder, newestFirst: readonly InetSocket[]): number {
  // The one that decides, in the known order.
  const refused = searches(binder, newestFirst).some(({ conflict }) => conflict === 'yes');
  return refused ? inUse : success;
}

/** Whether the prediction from facts allows what the kernel did, and blames a socket for a refusal. */
function allows(binder: Binder, newestFirst: readonly InetSocket[], errno: number | undefined): boolean {
  const facts = factsOf(binder, newestFirst);
  const { possible: outcomes, candidates } = darwin.predict(requestOf(binder, port), facts);
  const blames = errno !== inUse || candidates.length > 0;
  return blames && outcomes.includes(errno === success ? null : (errnos[errno ?? 0] ?? ''));
}

function possible(binder: Binder, newestFirst: readonly InetSocket[], to: number): readonly (string | null)[] {
  return darwin.predict(requestOf(binder, to), factsOf(binder, newestFirst)).possible;
}

function requestOf({ protocol, address, reuseAddress, reusePort, v6Only }: Binder, to: number) {
  const endpoint: Endpoint = { protocol, address, port: to };
  return { endpoint, options: { ...nodeTcpOptions, reuseAddress, reusePort, v6Only } };
}

const port = 3000;

/** Where the rows were made: lo0 with an address more than a Mac has. */
const settings: Settings = {
  automaticPorts: [49_152, 65_535],
  reservedPorts: [],
  firstUnprivilegedPort: 1024,
  mayBindPrivileged: false,
  mayAdministerNetwork: false,
  ipv6: true,
  nonlocalBind: { v4: false, v6: false },
  localAddresses: ['127.0.0.1', '127.0.0.2', '::1', 'fd00::2'].map((address) => ({ address, device: 'lo0' })),
};

function factsOf(binder: Binder, newestFirst: readonly InetSocket[]): Facts {
  return {
    platform: 'darwin',
    kernel,
    readAtMs: 0,
    sockets: newestFirst,
    holders: new Map(),
    unseen: { sockets: false, processes: false },
    standings: new Map(),
    unixFile: null,
    users: new Map(),
    settings,
    asker: { pid: 2, uid: binder.uid, user: 'ann', cwd: '/', ancestors: [1], sudoUid: null, unit: null },
    gaps: [],
  };
}

function asSocket(bound: Binder, state: SocketState | undefined, local = bound.address): InetSocket {
  if (state === undefined) throw new TypeError('A row names a state that the file does not explain');
  const { protocol, family, uid, reuseAddress, reusePort, v6Only } = bound;
  return {
    protocol,
    family,
    state,
    local: { address: local, port },
    remote: null,
    uid,
    inode: 0,
    reuseAddress,
    reusePort,
    v6Only,
    device: null,
    autoPort: null,
    expiresInMs: null,
    queue: null,
    direction: null,
  };
}

/** A socket by the key of its address: `::only` is `::` with IPV6_V6ONLY, `::v4` a dual-stack `::` that was reached over IPv4. */
function keyed(protocol: 'tcp' | 'udp', name: string, flags: number | undefined, uid: number): Binder {
  return {
    protocol,
    family: name.includes(':') ? 6 : 4,
    address: name === '::only' || name === '::v4' ? '::' : name,
    reuseAddress: ((flags ?? 0) & 1) !== 0,
    reusePort: ((flags ?? 0) & 2) !== 0,
    v6Only: name === '::only',
    device: null,
    uid,
  };
}
