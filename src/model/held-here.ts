/**
 * Is the endpoint held for the program that asks? Below `rebind hold` a server gets the held socket, so that the kernel's EADDRINUSE is not its
 * answer. Pure.
 */
import type { Holder, Socket } from './facts.ts';
import type { Question } from './verdict.ts';

/** The hold that the asker runs in and that has every blocker of exactly this endpoint open; null when it is anybody else's. */
export function heldHere(question: Question): Holder | null {
  const { request, blockers, facts } = question;
  let keeper: Holder | null = null;
  for (const { socket, conflict } of blockers) {
    if (conflict !== 'yes') continue;
    if (!isAt(socket, request.endpoint)) return null;
    keeper =
      (facts.holders.get(socket.inode) ?? []).find(
        ({ pid }) => facts.asker.ancestors.includes(pid) && question.managers.get(pid)?.kind === 'hold',
      ) ?? null;
    if (keeper === null) return null;
  }
  return keeper !== null && !servesHere(question) ? keeper : null;
}

/** The asker accepts from the socket already: then it, or a program of its, has listened there before. */
function servesHere({ blockers, facts }: Question): boolean {
  return blockers.some(({ socket }) =>
    (facts.holders.get(socket.inode) ?? []).some(({ pid, accepts }) => pid === facts.asker.pid && accepts === true),
  );
}

function isAt(socket: Socket, endpoint: Question['request']['endpoint']): boolean {
  if (socket.protocol === 'unix' || endpoint.protocol === 'unix')
    return socket.protocol === 'unix' && endpoint.protocol === 'unix' && socket.path === endpoint.path;
  return socket.local.address === endpoint.address && socket.local.port === endpoint.port;
}
