/**
 * May a process that has a port be asked to end? The one decision of `free`, `hold --take-over` and `listen`. Pure: everything it goes by was read.
 */
import { formatAddress } from './address.ts';
import type { Asker, Facts, Holder, Socket } from './facts.ts';
import { systemService } from './services.ts';

/** `ask`: the user must confirm it first. `never`: not even when confirmed. `why` is a clause about "it". */
export type MayEnd =
  | { readonly kind: 'yes' }
  | { readonly kind: 'ask'; readonly why: string }
  | { readonly kind: 'never'; readonly why: string };

/** Of other ports so many are named. */
const namedPorts = 4;

/**
 * @param besides What only the machine can tell, such as that its directory is of another project.
 */
export function mayEnd(holder: Holder, facts: Facts, besides: readonly string[] = []): MayEnd {
  const never = neverAsked(holder, facts.asker);
  if (never !== null) return { kind: 'never', why: never };
  const doubts = [...doubtsOf(holder, facts), ...besides];
  return doubts.length === 0 ? { kind: 'yes' } : { kind: 'ask', why: doubts.join(', and ') };
}

/** Why it is not ended whatever is asked for, or null. */
export function neverAsked(
  { pid, command, argv, parents }: Holder,
  asker: Pick<Asker, 'pid' | 'ancestors'>,
): string | null {
  if (pid === asker.pid) return 'it is this very process';
  if (pid === 1) return 'pid 1 keeps the whole system or container running';
  if (asker.ancestors.includes(pid)) return 'this command runs inside it';
  // kthreadd and what it started (Documentation/core-api/kthread): the kernel's own, which take no signal. In a container pid 2 is any process.
  const [parent] = parents;
  const isThread = pid === 2 && command === 'kthreadd' && argv.length === 0;
  return isThread || (parent?.pid === 2 && parent.command === 'kthreadd') ? 'it is a thread of the kernel' : null;
}

function doubtsOf(holder: Holder, facts: Facts): string[] {
  const { asker } = facts;
  const standing = facts.standings.get(holder.pid);
  const doubts: string[] = [];
  if (holder.uid !== asker.uid && !isWorkerOfOurs(holder, facts)) doubts.push(`it belongs to user ${holder.user}`);
  if (standing?.elsewhere === true) doubts.push('it runs in another network namespace, such as that of a container');
  const service = systemService(holder);
  if (service !== null) doubts.push(service.does);
  if (onlyHasOpen(holder, facts)) doubts.push('it has the socket open without accepting connections');
  else if (
    holder.accepts !== true &&
    standing !== undefined &&
    !hasAccepted(holder, facts) &&
    sitsElsewhere(standing, facts)
  )
    doubts.push('it runs in another terminal, and may not serve the port');
  if (standing !== undefined && standing.alsoListens.length > 0)
    doubts.push(`it also listens on ${portsOf(standing.alsoListens)}`);
  return doubts;
}

/**
 * A server of ours started it, gave it the listener, and it gave up rights: the workers of nginx run as nobody. Below a server of ours, and below
 * process 1, are also programs that opened a socket of their own: the shells of sshd's users, what JupyterHub or a CI runner starts.
 */
export function isWorkerOfOurs({ pid, parents }: Holder, { sockets, holders, asker }: Facts): boolean {
  return sockets.some(({ state, inode }) => {
    if (state !== 'LISTEN' && state !== 'BOUND') return false;
    const sharing = holders.get(inode) ?? [];
    const isServer = (one: number): boolean =>
      one !== 1 && sharing.some((other) => other.pid === one && other.uid === asker.uid);
    return sharing.some((other) => other.pid === pid) && parents.some((parent) => isServer(parent.pid));
  });
}

/** A session with a terminal that is not ours: an editor, a shell, a debugger of somebody. */
function sitsElsewhere(
  { session, terminal }: { session: number; terminal: boolean },
  { asker, standings }: Facts,
): boolean {
  return terminal && session !== standings.get(asker.pid)?.session;
}

/**
 * True for a process that has a listener open and was seen not to accept from it, that nothing shows to be its server, and that is no master
 * which leaves accepting to those that it started, nor one of a pool of equal workers of which another accepts.
 */
export function onlyHasOpen(holder: Holder, facts: Facts): boolean {
  if (holder.accepts !== false || seemsToServe(holder, facts)) return false;
  const all = [...facts.holders.values()].flat();
  const [parent] = holder.parents;
  const isWorker = ({ parents, argv }: Holder): boolean =>
    parent !== undefined &&
    parent.pid !== 1 &&
    parents[0]?.pid === parent.pid &&
    argv.join('\0') === holder.argv.join('\0');
  return !all.some(
    (other) => other.accepts === true && (other.parents.some(({ pid }) => pid === holder.pid) || isWorker(other)),
  );
}

/**
 * Something speaks for its being the server although it does not accept now: a connection that it accepted, that it is suspended or the first
 * process of its container, or that its arguments name the port.
 */
export function seemsToServe(holder: Holder, facts: Facts): boolean {
  const ports = new Set(facts.sockets.flatMap((socket) => (socket.protocol === 'unix' ? [] : [socket.local.port])));
  return (
    holder.pid === 1 ||
    /^[tT]$/.test(holder.processState) ||
    [...ports].some((port) => isTold(holder, port)) ||
    hasAccepted(holder, facts)
  );
}

/** `--port 8000`, `0.0.0.0:8000`. What is in quotes may be for another program. */
function isTold({ argv }: Holder, port: number): boolean {
  return argv.some((word) => !word.includes(' ') && new RegExp(`(^|[:=])${port}$`).test(word));
}

/** Has it open a connection of this port that it did not begin itself? Then it serves, however busy it is now. */
export function hasAccepted({ pid }: Holder, { sockets, holders }: Facts): boolean {
  return sockets.some(
    (socket) => isAccepted(socket) && (holders.get(socket.inode) ?? []).some((one) => one.pid === pid),
  );
}

function isAccepted(socket: Socket): boolean {
  if (socket.state === 'LISTEN' || socket.state === 'BOUND' || socket.protocol === 'udp') return false;
  return (
    socket.protocol === 'unix' || (socket.remote !== null && socket.inode !== 0 && socket.direction !== 'outgoing')
  );
}

/** `127.0.0.1:3001 and 2 more`. */
export function portsOf(all: readonly { readonly address: string; readonly port: number }[]): string {
  const named = all.slice(0, namedPorts).map(({ address, port }) => formatAddress(address, port));
  const more = all.length - named.length;
  const words = more === 0 ? named : [...named, `${more} more`];
  const last = words.at(-1) ?? '';
  return words.length < 2 ? last : `${words.slice(0, -1).join(', ')} and ${last}`;
}
