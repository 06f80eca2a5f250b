/**
 * What is read from netstat, lsof and ps: where libSystem cannot be called, or the release has structures of other sizes. It knows less: who made
 * a socket only where the process that last used it can be seen.
 */
import type { Gap, Holder, InetSocket, ParentProcess, SocketState } from '../../model/facts.ts';
import { type Description, ownName } from './describe.ts';
import { notListed } from './gaps.ts';
import type { Mac } from './mac.ts';
import type { Source } from './native-source.ts';
import { SO_REUSEADDR, SO_REUSEPORT } from './numbers.ts';
import { type LsofProcess, lsofArguments, parseLsof } from './text/lsof.ts';
import { type NetstatSocket, netstatArguments, parseNetstat } from './text/netstat.ts';
import { type PsProcess, parsePs, psArguments } from './text/ps.ts';

/** As netstat and lsof write them. */
const states: Readonly<Record<string, SocketState>> = {
  LISTEN: 'LISTEN',
  CLOSED: 'BOUND',
  SYN_SENT: 'SYN_SENT',
  SYN_RCVD: 'SYN_RECV',
  SYN_RECEIVED: 'SYN_RECV',
  ESTABLISHED: 'ESTABLISHED',
  CLOSE_WAIT: 'CLOSE_WAIT',
  FIN_WAIT_1: 'FIN_WAIT1',
  CLOSING: 'CLOSING',
  LAST_ACK: 'LAST_ACK',
  FIN_WAIT_2: 'FIN_WAIT2',
  TIME_WAIT: 'TIME_WAIT',
};

/** Nobody's: a user whose number is not known is never taken for the one who asks. */
const unknownUid = 0xfffffffe;

const maxParents = 256;

/** @param identityOf Which process it is, where the kernel can still be asked; else the start time has to do. */
export function textSource(mac: Mac, identityOf: (one: PsProcess) => string = startedBy): Source {
  let table: Map<number, PsProcess> | undefined;
  let commands: Map<number, PsProcess> | undefined;
  const listed = new Map<string, readonly InetSocket[]>();
  const opened = new Map<string, readonly LsofProcess[]>();
  const read = (column: 'comm' | 'command'): Map<number, PsProcess> => {
    const ran = mac.run('/bin/ps', psArguments(column));
    return new Map('why' in ran ? [] : parsePs(ran.text).map((one) => [one.pid, one]));
  };
  const processes = (): Map<number, PsProcess> => (table ??= read('comm'));
  const lsof = (protocol: 'tcp' | 'udp'): readonly LsofProcess[] => {
    let known = opened.get(protocol);
    if (known === undefined) {
      const ran = mac.run('/usr/sbin/lsof', lsofArguments(protocol, null));
      known = 'why' in ran ? [] : parseLsof(ran.text);
      opened.set(protocol, known);
    }
    return known;
  };
  const argvOf = (pid: number): string[] => {
    commands ??= read('command');
    const text = commands.get(pid)?.text ?? '';
    const program = processes().get(pid)?.text ?? '';
    // The program's file may have blanks; where its arguments have some cannot be told.
    if (program !== '' && text.startsWith(program)) return [program, ...wordsOf(text.slice(program.length))];
    return wordsOf(text);
  };
  const parents = (pid: number): ParentProcess[] => {
    const chain: ParentProcess[] = [];
    const seen = new Set([pid]);
    for (let next = processes().get(pid)?.parent ?? 0; next > 0 && !seen.has(next) && chain.length < maxParents; ) {
      seen.add(next);
      const parent = processes().get(next);
      if (parent === undefined) break;
      chain.push({ pid: next, command: nameOf(parent), argv: argvOf(next) });
      next = parent.parent;
    }
    return chain;
  };
  const uid = mac.uid();
  const userName = (of: number): string =>
    of === uid ? ownName(of) : of === 0 ? 'root' : of === unknownUid ? 'another user' : String(of);
  const describe = (pid: number): Description | null => {
    const one = processes().get(pid);
    if (one === undefined || one.state === 'Z') return null;
    return {
      pid,
      started: identityOf(one),
      command: nameOf(one),
      argv: argvOf(pid),
      cwd: null,
      uid: one.uid,
      user: userName(one.uid),
      startedAtMs: one.startedAtMs,
      processState: one.state === 'T' ? 'T' : 'S',
      parents: parents(pid),
      unit: null,
      userUnit: false,
      cgroup: null,
      container: null,
      tracer: null,
    };
  };

  return {
    describer: {
      describe,
      userName,
      parents,
      nameOf: (pid) => {
        const one = processes().get(pid);
        return one === undefined ? null : nameOf(one);
      },
    },
    inetSockets(protocol, gaps: Gap[]) {
      const known = listed.get(protocol);
      if (known !== undefined) return known;
      const ran = mac.run('/usr/sbin/netstat', netstatArguments(protocol));
      if ('why' in ran) {
        gaps.push(notListed(protocol.toUpperCase(), ran.why));
        return [];
      }
      const sockets = parseNetstat(ran.text)
        .filter(({ local }) => local.port !== 0)
        .map((socket, index) => inetSocket(socket, index, processes()));
      listed.set(protocol, sockets);
      return sockets;
    },
    unixSockets(gaps) {
      gaps.push(notListed('Unix', 'ENOSYS'));
      return null;
    },
    holders(sockets) {
      const holders = new Map<number, readonly Holder[]>();
      for (const socket of sockets) {
        if (socket.protocol === 'unix' || socket.inode === 0) continue;
        const found = lsof(socket.protocol).flatMap((process): Holder[] => {
          const descriptors = process.sockets.filter((one) => isSame(one, socket)).map(({ fd }) => fd);
          const description = descriptors.length === 0 ? null : describe(process.pid);
          return description === null ? [] : [{ ...description, descriptors, accepts: null }];
        });
        if (found.length > 0) holders.set(socket.inode, found);
      }
      // lsof says nothing of the processes that it may not look into.
      return { holders, unseen: uid === 0 ? null : 'EPERM' };
    },
    standings: () => new Map(),
  };
}

/** A start time as whole seconds: all that ps tells. */
export function startedBy(one: Pick<PsProcess, 'startedAtMs'>): string {
  return `s${Math.floor(one.startedAtMs / 1_000)}`;
}

function inetSocket(socket: NetstatSocket, index: number, processes: ReadonlyMap<number, PsProcess>): InetSocket {
  const { protocol, local, remote, lastPid, options } = socket;
  const state =
    protocol === 'udp' ? (remote === null ? 'BOUND' : 'ESTABLISHED') : (states[socket.state ?? ''] ?? 'BOUND');
  const isMapped = local.address.startsWith('::ffff:') || remote?.address.startsWith('::ffff:') === true;
  return {
    protocol,
    family: socket.family === 4 ? 4 : 6,
    state,
    local,
    remote,
    uid: processes.get(lastPid ?? 0)?.uid ?? unknownUid,
    // No process has a closed connection open. The numbers are of this reading alone.
    inode: state === 'TIME_WAIT' ? 0 : 4 * index + (protocol === 'tcp' ? 4 : 5),
    reuseAddress: options === null ? null : (options & SO_REUSEADDR) !== 0,
    reusePort: options === null ? null : (options & SO_REUSEPORT) !== 0,
    v6Only: socket.family === 6 && !isMapped,
    device: null,
    autoPort: null,
    expiresInMs: null,
    queue: null,
    direction: null,
    darwin: { lastPid: lastPid ?? 0, sharesUsers: null, userSpace: false },
  };
}

function isSame(one: LsofProcess['sockets'][number], socket: InetSocket): boolean {
  const plain = (address: string): string => address.replace(/^::ffff:/, '');
  const isAt = (a: InetSocket['local'] | null, b: InetSocket['local'] | null): boolean =>
    a === b || (a !== null && b !== null && a.port === b.port && plain(a.address) === plain(b.address));
  return one.family === socket.family && isAt(one.local, socket.local) && isAt(one.remote, socket.remote);
}

function nameOf({ text }: PsProcess): string {
  return text.slice(text.lastIndexOf('/') + 1);
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
