/**
 * What a cause says of servers that have the port: the same of each, whichever addresses they meet on.
 */
import type { InetSocket } from '../../model/facts.ts';
import type { Question } from '../../model/verdict.ts';
import { conductOf } from './conduct.ts';
import { holdersOf } from './kinds.ts';
import { asked, localOf, managed, who } from './words.ts';

/** @param first One of them: where they differ, it is the example. */
export function listenerArgs(first: InetSocket, sockets: readonly InetSocket[], question: Question) {
  const holders = holdersOf(sockets, question);
  return {
    endpoint: asked(question),
    protocol: first.protocol,
    at: [...new Set(sockets.map(localOf))],
    uid: first.uid,
    holders: holders.map(who),
    managed: managed(holders, question),
    conduct: conductOf(sockets, question),
  };
}
