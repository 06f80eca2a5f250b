import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { listenersOf } from '../shared/listeners.ts';
import { listening } from '../shared/scenes.ts';
import { stopServers } from '../shared/stopping.ts';
import { agree, andThen, asked, localOf, managed, named, places, processes, who } from '../shared/words.ts';

/** SO_REUSEPORT on both sides, and still no sharing. */
export default cause({
  id: 'reuse-port-other-user',
  title: 'SO_REUSEPORT shares a port only between sockets of one user',
  on: ['linux'],
  page: {
    see: 'Your server sets `SO_REUSEPORT` (in Node `reusePort: true`), as the other one does, and still fails with `EADDRINUSE`. As the same user it works.',
    why: 'All sockets that share a port must belong to the same user, so that nobody can steal the connections of another. Being root does not help: root and another user are two users. What counts is the user who made the socket, not the one that the program runs as later.',
    now: 'Start both as the same user, or stop the other one: `rebind free 3000 --reuse-port`.',
    prevent:
      'Run all instances of a server under one user, and let none of them make its socket before it gives up root.',
  },
  recognise(question) {
    const sockets = listenersOf(question, 'other-user-share');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      at: [...new Set(sockets.map(localOf))],
      uid: first.uid,
      mine: question.facts.asker.uid,
      /** Whether the other side set the option is hidden from those who may not look into its process. */
      otherShares: first.reusePort,
      holders: holdersOf(sockets, question).map(who),
      managed: managed(holdersOf(sockets, question), question),
    };
  },
  say: ({ endpoint, at, uid, mine, holders, otherShares, managed: by }) =>
    `${processes(holders, uid)} ${agree(named(holders), 'has', 'have')} ${places(at, endpoint)} as uid ${uid}, and SO_REUSEPORT${otherShares === null ? ', if it is set there,' : ''} does not share it with uid ${mine}${andThen(by)}`,
  remedies: (_args, question) => stopServers(question),
  stages: [
    {
      title: 'a server of another user has the port with SO_REUSEPORT, and you also set it',
      needs: ['second-user'],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.1', {
          reuseAddress: true,
          reusePort: true,
          user: stage.secondUser(),
        });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port, { reusePort: true }),
          description: `a server of another user (pid ${server.pid}) listens on 127.0.0.1:${port} with SO_REUSEPORT`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'the same, asked without the right to look at its processes',
      needs: ['second-user', 'unprivileged'],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.1', {
          reuseAddress: true,
          reusePort: true,
          user: stage.secondUser(),
        });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port, { reusePort: true }),
          description: `a server of another user (pid ${server.pid}) listens on 127.0.0.1:${port} with SO_REUSEPORT`,
          ...stage.unprivileged(),
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title:
        'a server of your own user has it without SO_REUSEPORT, which only you set: that is a server like any other',
      needs: [],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.1', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port, { reusePort: true }),
          description: `a server (pid ${server.pid}) listens on 127.0.0.1:${port} without SO_REUSEPORT`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', cause: 'other-listener', remedies: ['stop-process'] },
    },
  ],
});
