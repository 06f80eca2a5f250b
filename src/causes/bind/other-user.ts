import { isLeftover } from '../../model/leftover.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { blockersOf, holdersOf } from '../shared/kinds.ts';
import { useAddress, wait } from '../shared/remedies.ts';
import { stopHolders } from '../shared/stopping.ts';
import { agree, asked, capital, inWords, list, localOf, named, processes, who } from '../shared/words.ts';

/** A socket of another user, which would let a socket of its own user in. */
export default cause({
  id: 'other-user',
  title: 'A socket of another user has this port, and macOS shares no port between users',
  on: ['darwin'],
  page: {
    see: '`EADDRINUSE`, although the other program is on another address: it listens on `0.0.0.0`, you want `127.0.0.1`. Or the server has exited, and a port that it served as root is taken for you for half a minute. The same start works with `sudo`.',
    why: 'Before it looks at any option, macOS looks for the socket that fits best among all that have the port: listeners, connections, even closed connections in TIME_WAIT. If another user made it, nobody but root may bind the port on an address that overlaps. `SO_REUSEADDR` and `SO_REUSEPORT` do not help. Only sockets on `0.0.0.0` leave `::` to others.',
    now: 'Wait for closed connections: `rebind wait 3000` knows how long. For a program that still runs, `sudo rebind free 3000` names and stops it. Or listen on `::`, which an IPv4 listener of another user does not block.',
    prevent:
      'Start all programs of one port as the same user. A server that must start as root leaves connections of root behind, so let launchd, or a proxy, have the low port and the server a high one.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'other-user');
    const [first] = sockets;
    if (first === undefined) return null;
    const live = sockets.filter((socket) => !isLeftover(socket));
    const shown = live.length > 0 ? live : sockets;
    return {
      endpoint: asked(question),
      at: [...new Set(shown.map(localOf))],
      uid: (live[0] ?? first).uid,
      user: question.facts.users.get((live[0] ?? first).uid) ?? String((live[0] ?? first).uid),
      holders: holdersOf(shown, question).map(who),
      /** Connections that are over, and that no process has open. */
      closed: live.length === 0 ? sockets.length : 0,
    };
  },
  say({ endpoint, at, uid, user, holders, closed }) {
    const rule = 'macOS lets no other user use a port on an address that overlaps';
    if (closed > 0)
      return `${capital(inWords(endpoint))} is held by ${closed === 1 ? 'a closed connection' : `${closed} closed connections`} of user ${user}; ${rule}`;
    const whose = holders.length === 0 ? processes(holders, uid) : `${processes(holders, uid)} of user ${user}`;
    return `${whose} ${agree(named(holders), 'has', 'have')} ${list(at.slice(0, 3))}; ${rule}`;
  },
  remedies({ closed }, question): Remedy[] {
    const sockets = blockersOf(question, 'other-user');
    return [
      ...(closed > 0 ? [wait(sockets, question)] : []),
      ...useEveryAddress(question),
      ...(closed > 0 ? [] : stopHolders(sockets, question)),
    ];
  },
  stages: [],
});

/** `::` where it works: what blocks an IPv4 address of another user mostly leaves it free. */
function useEveryAddress(question: Question): Remedy[] {
  return useAddress(
    question,
    '::',
    'Listen on ::, which is available; IPv4 connections would still reach the other program',
  );
}
