import { holdersOf } from '../../model/reach/holders.ts';
import { processes, who } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { change } from './shared/look.ts';
import { placeOf, stopServer } from './shared/untaken.ts';

/** Our side is connected, and the other end is still SYN_RECV: the queue was full when the third packet came. */
export default addressCause({
  id: 'half-accepted',
  title: 'The client is connected, and the server has no room for the connection',
  on: ['linux'],
  at: 'queue',
  page: {
    see: 'The connect succeeds, and everything that is sent is sent again and again without an answer. With `net.ipv4.tcp_abort_on_overflow=1` it is a reset instead.',
    why: 'The kernel answered the first packet, and when the client acknowledged, the queue of the listener was full. The client believes that it is connected; the server side waits in the state SYN_RECV until there is room, or until it gives up.',
    now: 'See why the server does not accept its connections; restart it if it never recovers.',
    prevent: 'Give `listen` a larger backlog, and raise `net.core.somaxconn`.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence?.connected?.mirror?.state !== 'SYN_RECV') return null;
    const inode = evidence.before.lookup?.found?.inode;
    const holders = holdersOf(evidence, inode);
    return {
      endpoint: placeOf(evidence),
      port: evidence.endpoint.port,
      uid: evidence.before.lookup?.found?.uid ?? 0,
      holders: holders.map(({ holder }) => holder).map(who),
    };
  },
  say: ({ endpoint, uid, holders }) =>
    `The queue of ${endpoint} was full when the connection was completed, and ${processes(holders, uid).replace(/^A process /, 'a process ')} does not accept it`,
  remedies: ({ port }, { advice }) => [
    change(
      'raise-limit',
      'Give listen() a larger backlog, and raise what limits it',
      advice.network?.set('net.core.somaxconn', '4096'),
    ),
    ...stopServer(port),
  ],
  stages: [],
});
