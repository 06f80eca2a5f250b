/**
 * Which sockets `rebind ls` shows: by protocol, by what was typed, and by whose they are.
 */
import { projectOf, sameProject } from '../../ask/doubts.ts';
import { formatAddress } from '../../model/address.ts';
import type { Asker, Holder, InetSocket, UnixSocket } from '../../model/facts.ts';
import { managedName } from '../../model/manager-words.ts';
import type { Manager } from '../../model/managers.ts';
import { programName } from '../../model/program.ts';
import type { Inventory } from '../../os/os.ts';
import type { Invocation } from '../command.ts';
import { endpointsIn } from '../typed.ts';

/** What is listed: an inventory, and what started the processes. */
export interface Listed extends Inventory {
  readonly managers: ReadonlyMap<number, Manager>;
}

export type Socket = InetSocket | UnixSocket;

/** What was asked for. Words are alternatives; the rest must all be true. */
export interface Filter {
  readonly protocols: ReadonlySet<Socket['protocol']>;
  readonly ports: ReadonlySet<number>;
  readonly words: readonly string[];
  readonly mine: boolean;
}

/** Unix sockets are many: they are shown when they are asked for, or when a word finds them. */
export function filterOf(invocation: Invocation): Filter {
  const chosen = (['tcp', 'udp', 'unix'] as const).filter((name) => invocation.flag(name) === true);
  const ports = new Set<number>();
  const words: string[] = [];
  for (const word of invocation.operands) {
    if (/^[\d,:-]+$/.test(word)) for (const port of endpointsIn([word])) ports.add(Number(port.replace(/^.*:/, '')));
    else words.push(word.toLowerCase());
  }
  const usual = words.length > 0 ? (['tcp', 'udp', 'unix'] as const) : (['tcp', 'udp'] as const);
  return {
    protocols: new Set(chosen.length > 0 ? chosen : usual),
    ports,
    words,
    mine: invocation.flag('mine') === true,
  };
}

/** The sockets that a filter lets through, sorted. */
export function filtered(listed: Listed, filter: Filter): Socket[] {
  const sockets: Socket[] = [...listed.sockets, ...listed.unixSockets];
  return sockets
    .filter((socket) => filter.protocols.has(socket.protocol) && isMeant(socket, listed, filter))
    .toSorted(byPlace);
}

function isMeant(socket: Socket, listed: Listed, { ports, words, mine }: Filter): boolean {
  const holders = listed.holders.get(socket.inode) ?? [];
  if (mine && !holders.some((holder) => isMine(holder, listed.asker))) return false;
  if (ports.size === 0 && words.length === 0) return true;
  // A number may be that of a process.
  if (socket.protocol !== 'unix' && ports.has(socket.local.port)) return true;
  if (holders.some(({ pid }) => ports.has(pid))) return true;
  const texts = [
    socket.protocol === 'unix' ? socket.path : formatAddress(socket.local.address, socket.local.port),
    ...holders.flatMap((holder) => textsOf(holder, listed)),
  ];
  return words.some((word) => texts.some((text) => text.toLowerCase().includes(word)));
}

function textsOf(holder: Holder, { managers }: Listed): string[] {
  const manager = managers.get(holder.pid);
  return [
    programName(holder),
    holder.command,
    holder.argv.join(' '),
    holder.user,
    holder.unit ?? '',
    projectName(holder),
    ...(manager === undefined ? [] : [manager.kind, managedName(manager) ?? '']),
  ];
}

/** In the project that the asker is in, or started by the process that started rebind, such as the same shell. */
function isMine(holder: Holder, asker: Asker): boolean {
  const [parent = 1] = asker.ancestors;
  return (
    (holder.cwd !== null && sameProject(holder.cwd, asker.cwd)) ||
    (parent !== 1 && holder.parents.some(({ pid }) => pid === parent))
  );
}

/** The last part of the path of the holder's project, or nothing. */
export function projectName({ cwd }: Pick<Holder, 'cwd'>): string {
  const project = cwd === null ? null : projectOf(cwd);
  return project === null ? '' : project.slice(project.lastIndexOf('/') + 1);
}

/** By port, then TCP before UDP, then address; Unix sockets last, by path. */
export function byPlace(a: Socket, b: Socket): number {
  if (a.protocol === 'unix' || b.protocol === 'unix') {
    if (a.protocol !== 'unix') return -1;
    return b.protocol === 'unix' ? a.path.localeCompare(b.path, 'en') : 1;
  }
  return (
    a.local.port - b.local.port ||
    a.protocol.localeCompare(b.protocol, 'en') ||
    a.family - b.family ||
    a.local.address.localeCompare(b.local.address, 'en')
  );
}
