/**
 * Classifies a listener by what can stop it. Each listener has exactly one class.
 */

import type { Holder, InetSocket } from '../../model/facts.ts';
import { type Manager, managers } from '../../model/managers.ts';
import { hasAccepted, seemsToServe } from '../../model/may-end.ts';
import { spanOf } from '../../model/rules/span.ts';
import { isActivator, reapers } from '../../model/suspect.ts';
import type { Question } from '../../model/verdict.ts';
import { blockersOf, holdersOf } from './kinds.ts';

export type Story =
  | 'container'
  | 'airplay'
  | 'unit'
  | 'kernel'
  | 'other-user-share'
  | 'inherited'
  | 'dual-stack'
  | 'wildcard'
  | 'plain';

/** The listeners of one story among the blockers. */
export function listenersOf(question: Question, story: Story): InetSocket[] {
  return blockersOf(question, 'listener').filter((socket) => storyOf(socket, question) === story);
}

/**
 * The holders that nobody would call the server. Beside one that accepts: those that do not and did not start it either
 * (a master that leaves accepting to its workers is part of the server). Where nobody accepts: all, if the process that
 * started them is gone. A server that is busy or suspended looks the same, so nothing may speak against it: neither a connection that it
 * accepted, nor that it is the first process of its container, nor that it was told the number of the port.
 */
export function idleHolders(holders: readonly Holder[], { facts }: Question): Holder[] {
  const serving = holders.filter((holder) => holder.accepts === true || hasAccepted(holder, facts));
  const idle = holders.filter((holder) => holder.accepts === false && !serving.includes(holder));
  if (serving.length > 0) return idle.filter((holder) => !serving.some((server) => isParent(holder, server)));
  const first = holders.filter((holder) => !holders.some((other) => isParent(other, holder)));
  const seems = holders.some((holder) => seemsToServe(holder, facts));
  return idle.length === holders.length && first.every(isOrphan) && !seems ? idle : [];
}

function isParent(parent: Holder, child: Holder): boolean {
  return child.parents.some(({ pid }) => pid === parent.pid);
}

function isOrphan({ parents, unit }: Holder): boolean {
  const [parent] = parents;
  // The processes of a service have pid 1 as their parent from the start.
  if (unit?.endsWith('.service') === true && !unit.startsWith('user@')) return false;
  return parent === undefined || parent.pid === 1 || reapers.has(parent.command);
}

function isContainer(manager: Manager | undefined): boolean {
  return manager !== undefined && managers[manager.kind].runs === 'the container';
}

function storyOf(socket: InetSocket, question: Question): Story {
  const holders = holdersOf([socket], question);
  if (holders.some(({ pid }) => isContainer(question.managers.get(pid)))) return 'container';
  if (holders.some(({ pid }) => question.managers.get(pid)?.kind === 'airplay')) return 'airplay';
  if (holders.some(isActivator)) return 'unit';
  if (holders.length === 0 && isKernels(socket, question)) return 'kernel';
  if (isOthersShare(socket, question)) return 'other-user-share';
  // A UDP program need not wait in epoll or accept, so nothing is known of who serves.
  if (socket.state === 'LISTEN' && idleHolders(holders, question).length > 0) return 'inherited';
  const { endpoint, options } = question.request;
  // Also where one of the two is for IPv6 only: nobody needs to be told that :: overlaps ::.
  if (endpoint.protocol === 'unix' || endpoint.address === socket.local.address) return 'plain';
  const mine = spanOf({
    family: endpoint.address.includes(':') ? 6 : 4,
    address: endpoint.address,
    v6Only: options.v6Only,
  });
  const theirs = spanOf({ family: socket.family, address: socket.local.address, v6Only: socket.v6Only === true });
  if (mine.v4 === theirs.v4 && mine.v6 === theirs.v6) return 'plain';
  const sameFamily = (mine.v6 !== null && theirs.v6 !== null) || (mine.v6 === null && theirs.v6 === null);
  return sameFamily ? 'wildcard' : 'dual-stack';
}

/** No process has it open, and root looked into every one. Kernel services make their sockets as root (sk_kern_sock). */
function isKernels(socket: InetSocket, { facts }: Question): boolean {
  return facts.asker.uid === 0 && !facts.unseen.processes && socket.uid === 0;
}

/** You want to share, and the user is wrong; whether the other side wants to may be hidden. */
function isOthersShare(socket: InetSocket, { request, facts }: Question): boolean {
  return request.options.reusePort && socket.reusePort !== false && socket.uid !== facts.asker.uid;
}
