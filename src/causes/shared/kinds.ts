/**
 * Which cause a blocker belongs to. Every blocker has exactly one, so that two causes never tell two stories about one socket.
 */

import type { Holder, InetSocket, Socket } from '../../model/facts.ts';
import { isLeftover } from '../../model/leftover.ts';
import { rulesFor } from '../../model/rules/index.ts';
import { meets } from '../../model/rules/span.ts';
import type { Question } from '../../model/verdict.ts';

export type Kind =
  /** A TCP listener, or a bound UDP socket, which receives as soon as it is bound. */
  | 'listener'
  /** A bound TCP socket that neither listens nor is connected. */
  | 'bound'
  /** A connection of a listener that is a blocker, too: it goes when its listener goes. */
  | 'served'
  /** An accepted connection whose listener is gone. */
  | 'accepted'
  /** A connection that this side began: the port is its source port. */
  | 'outgoing'
  /** A connection with both ends on the same address and port. */
  | 'self'
  /** TIME_WAIT. */
  | 'closed'
  /** What is left of a connection that no process has open any more, before TIME_WAIT. */
  | 'orphan'
  /** In the way only because another user made it. */
  | 'other-user'
  /** Of Network.framework: it has a port, and no socket. */
  | 'user-space';

/** The sockets that make the request fail and are of one of these kinds, the surest first. */
export function blockersOf(question: Question, ...kinds: readonly Kind[]): InetSocket[] {
  return question.blockers
    .map(({ socket }) => socket)
    .filter((socket): socket is InetSocket => socket.protocol !== 'unix')
    .filter((socket) => kinds.includes(kindOf(socket, question)));
}

/** Every cause asks for the kinds of the same sockets, and a busy port has tens of thousands. */
const kindsOf = new WeakMap<Question, Map<InetSocket, Kind>>();

/** The kind of a socket that blocks. */
export function kindOf(socket: InetSocket, question: Question): Kind {
  let kinds = kindsOf.get(question);
  if (kinds === undefined) {
    kinds = new Map();
    kindsOf.set(question, kinds);
  }
  const known = kinds.get(socket);
  if (known !== undefined) return known;
  const kind = sort(socket, question);
  kinds.set(socket, kind);
  return kind;
}

function sort(socket: InetSocket, question: Question): Kind {
  const { request, facts } = question;
  if (socket.darwin?.userSpace === true) return 'user-space';
  if (rulesFor(facts.platform)?.madeByOther?.(request, facts, socket)) return 'other-user';
  if (socket.state === 'LISTEN') return 'listener';
  if (isSelfConnected(socket)) return 'self';
  if (socket.protocol === 'udp') return socket.state === 'BOUND' ? 'listener' : 'outgoing';
  if (socket.state === 'BOUND') return 'bound';
  if (socket.state === 'TIME_WAIT') return 'closed';
  if (isLeftover(socket)) return 'orphan';
  if (hasListener(socket, question) && !isOutgoing(socket, question)) return 'served';
  if (socket.inode === 0)
    return socket.state === 'ESTABLISHED' || socket.state === 'CLOSE_WAIT' ? 'accepted' : 'orphan';
  return isOutgoing(socket, question) ? 'outgoing' : 'accepted';
}

/** The processes that have a socket open, as far as they were found. */
export function holdersOf(sockets: readonly Socket[], question: Question): Holder[] {
  const byPid = new Map<number, Holder>();
  for (const { inode } of sockets)
    for (const holder of question.facts.holders.get(inode) ?? []) byPid.set(holder.pid, holder);
  return [...byPid.values()].sort((a, b) => a.pid - b.pid);
}

function isSelfConnected({ local, remote }: InetSocket): boolean {
  return remote !== null && local.port === remote.port && local.address === remote.address;
}

function hasListener(socket: InetSocket, { blockers, facts }: Question): boolean {
  const overlap = rulesFor(facts.platform)?.overlap ?? meets;
  return blockers.some(
    ({ socket: other }) =>
      other.protocol === 'tcp' &&
      other.state === 'LISTEN' &&
      overlap(boundTo(other), { ...boundTo(socket), v6Only: false }),
  );
}

function boundTo(socket: InetSocket): { family: 4 | 6; address: string; v6Only: boolean } {
  return { family: socket.family, address: socket.local.address, v6Only: socket.v6Only === true };
}

/**
 * Who began the connection. Where the kernel does not say: a program that names its own port and connects has a port that was
 * not chosen for it, which accepted connections never show; else a port of the automatic range is a client's.
 */
function isOutgoing(socket: InetSocket, { facts, blockers }: Question): boolean {
  if (socket.direction !== null) return socket.direction === 'outgoing';
  if (socket.state === 'SYN_SENT' || socket.autoPort === false) return true;
  const siblings = blockers.filter(({ socket: other }) => other.protocol === 'tcp' && other.state !== 'LISTEN');
  const range = facts.settings.automaticPorts;
  return siblings.length === 1 && range !== null && socket.local.port >= range[0] && socket.local.port <= range[1];
}
