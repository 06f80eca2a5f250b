import { cause } from '../cause.ts';
import { blockersOf, holdersOf } from '../shared/kinds.ts';
import { connected } from '../shared/scenes.ts';
import { stopServers } from '../shared/stopping.ts';
import { agree, asked, localOf, named, places, processes, who } from '../shared/words.ts';

/** bind() without listen(): invisible in most tables. */
export default cause({
  id: 'bound-not-listening',
  title: 'A program has bound the port and does not listen',
  on: ['linux', 'darwin'],
  page: {
    see: '`EADDRINUSE`, and `ss -tlnp`, `lsof`, `netstat` and /proc/net/tcp show nothing at all on the port.',
    why: 'A socket has its port from `bind()` on; `listen()` comes later, or never: a server that hangs between the two, a program that reserves a port for another program, a connection that was refused after `bind()`. The usual tables only show sockets that listen or are connected. The kernel shows the others only on request (since Linux 6.8), which rebind makes.',
    now: '`rebind free 3000` stops the program. `rebind why 3000` names it.',
    prevent:
      'Call `listen()` right after `bind()`, and close a socket when either fails. To keep a port for a program that starts later, let it listen and pass the socket on: `rebind hold` does that.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'bound');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      at: [...new Set(sockets.map(localOf))],
      uid: first.uid,
      holders: holdersOf(sockets, question).map(who),
    };
  },
  say: ({ endpoint, at, uid, holders }) =>
    `${processes(holders, uid)} ${agree(named(holders), 'has', 'have')} bound ${places(at, endpoint)} and ${agree(named(holders), 'does', 'do')} not listen`,
  remedies: (_args, question) => stopServers(question),
  stages: [
    {
      title: 'a program bound 127.0.0.1 without SO_REUSEADDR and never listens',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('program');
        const socket = await actor.open();
        await socket.bind('127.0.0.1', port);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a program (pid ${actor.pid}) bound 127.0.0.1:${port} and never listens`,
          holders: [actor.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a program bound :: and never listens, and you want 127.0.0.1',
      needs: ['ipv6'],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('program');
        const socket = await actor.open({ family: 6 });
        await socket.bind('::', port);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a program (pid ${actor.pid}) bound [::]:${port} and never listens`,
          holders: [actor.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a program bound 127.0.0.1 with SO_REUSEADDR and never listens: nothing blocks',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('program');
        const socket = await actor.open({ reuseAddress: true });
        await socket.bind('127.0.0.1', port);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a program (pid ${actor.pid}) bound 127.0.0.1:${port} with SO_REUSEADDR and never listens`,
        });
      },
      expect: { bindable: true, errno: null, cause: null, remedies: [] },
    },
    {
      title: 'a server that stopped listening by shutdown, with a connection: the connection is named first',
      needs: [],
      async stage(stage) {
        const { server, port, listener } = await connected(stage, '127.0.0.1', { role: 'server-without-reuseaddr' });
        await listener.shutdown('read');
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) stopped listening on 127.0.0.1:${port} by shutdown, and has the socket and a connection open`,
          holders: [server.pid],
        });
      },
      expect: {
        bindable: false,
        errno: 'EADDRINUSE',
        cause: 'open-connection',
        also: ['bound-not-listening'],
        remedies: ['stop-process'],
      },
    },
  ],
});
