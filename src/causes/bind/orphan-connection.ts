import { cause } from '../cause.ts';
import { blockersOf } from '../shared/kinds.ts';
import { longest, removeLeftovers, wait } from '../shared/remedies.ts';
import { connected } from '../shared/scenes.ts';
import { asked, capital, inWords, list, remoteOf, seconds } from '../shared/words.ts';

const mebibyte = 2 ** 20;

/** What no process has open, and what is not in TIME_WAIT yet: the other side has not finished. */
export default cause({
  id: 'orphan-connection',
  title: 'The server has exited, but one of its connections is not closed yet',
  on: ['linux', 'darwin'],
  page: {
    see: 'You stopped the server, no process uses the port, and `ss -tan` shows `FIN-WAIT-1`, `FIN-WAIT-2`, `LAST-ACK` or `CLOSING` on it. It lasts from a minute to many minutes.',
    why: 'When a server exits, the kernel finishes its connections without it. It waits for the client to close its side (FIN_WAIT2, at most `tcp_fin_timeout`, 60 seconds, and another 60 in TIME_WAIT if the client does), or for the client to take data that was still being sent (FIN_WAIT1, LAST_ACK, CLOSING: until the retransmissions end, which can take many minutes when the client is stuck or its network is gone). Such a connection blocks unless both the old and the new server have set `SO_REUSEADDR`.',
    now: 'As root, `rebind free 3000` removes the connection at once. `rebind wait 3000` waits for it. If you know the client, stopping it closes the connection sooner.',
    prevent:
      'Set `SO_REUSEADDR` in the server, as Node does, and close connections in time when it stops: `close(server, { graceMs: 10_000 })`.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'orphan');
    if (sockets.length === 0) return null;
    const waitMs = longest(sockets);
    return {
      endpoint: asked(question),
      states: [...new Set(sockets.map(({ state }) => state))],
      remotes: [...new Set(sockets.map(remoteOf))].filter((remote) => remote !== null),
      connections: sockets.length,
      waitMs,
      until: waitMs === null ? null : new Date(question.facts.readAtMs + waitMs).toISOString(),
    };
  },
  say({ endpoint, states, remotes, connections, waitMs }) {
    const what = connections === 1 ? 'a connection' : `${connections} connections`;
    const peers = remotes.length > 3 ? `${remotes.length} clients` : list(remotes);
    const time =
      waitMs === null ? 'with no known time limit' : `free in ${seconds(waitMs)}, or a minute after its client closes`;
    return `${capital(inWords(endpoint))} is held by ${what} that an exited server left open (${list(states)} with ${peers}), ${time}`;
  },
  remedies(_args, question) {
    const sockets = blockersOf(question, 'orphan');
    return [wait(sockets, question), ...removeLeftovers(sockets, question)];
  },
  stages: [
    {
      title: 'a server without SO_REUSEADDR was killed, and its client has not closed yet (FIN_WAIT2)',
      needs: [],
      async stage(stage) {
        const { server, port } = await connected(stage, '127.0.0.1', { role: 'server-without-reuseaddr' });
        await server.kill();
        await stage.settled(port, (states) => states.join() === 'FIN_WAIT2');
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server on 127.0.0.1:${port} without SO_REUSEADDR was killed, and its client is still connected`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'remove-leftovers'] },
    },
    {
      title: 'a server was killed while it sent to a client that does not read (FIN_WAIT1)',
      needs: [],
      async stage(stage) {
        const { server, accepted, port } = await connected(stage, '127.0.0.1', { role: 'server-without-reuseaddr' });
        await accepted.send(64 * mebibyte);
        await server.kill();
        await stage.settled(port, (states) => states.join() === 'FIN_WAIT1');
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server on 127.0.0.1:${port} without SO_REUSEADDR was killed while it sent to a client that does not read`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'remove-leftovers'] },
    },
  ],
});
