import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { idleHolders, listenersOf } from '../shared/listeners.ts';
import { listening } from '../shared/scenes.ts';
import { stopServers } from '../shared/stopping.ts';
import { agree, andThen, asked, localOf, managed, places, processes, who } from '../shared/words.ts';

/** A listener that some process has open without being its server. */
export default cause({
  id: 'inherited-descriptor',
  title: 'A child process inherited the listening socket and keeps it open',
  on: ['linux', 'darwin'],
  page: {
    see: 'You stopped the server, and its port is still in use: by a program that never listened, such as a worker, a build tool, a shell or a `sleep` that the server had started. Or you kill the first process that `lsof` names, and the port stays blocked by the next.',
    why: 'A listening socket lives as long as any process has it open. A child inherits the open sockets of its parent unless they are marked close-on-exec. So a child that outlives the server keeps the port: connections are queued, and no program accepts them. `rebind` tells the two apart by whether a process waits for connections (in epoll or accept) or only has the socket open.',
    now: '`rebind free 3000` stops every process that has the socket open; stopping only one of them does not help. If the child must keep running, it is enough that it closes that one descriptor.',
    prevent:
      'Mark sockets close-on-exec (`SOCK_CLOEXEC`, `FD_CLOEXEC`; Node, Go, Rust and Python 3 do) and do not hand them to children by `stdio` or `pass_fds`. Let the server stop its children when it exits, or start both in one systemd unit, which stops them together.',
  },
  recognise(question) {
    const sockets = listenersOf(question, 'inherited');
    if (sockets.length === 0) return null;
    const holders = holdersOf(sockets, question);
    const idle = new Set(idleHolders(holders, question));
    const waiting = sockets.reduce((sum, { queue }) => sum + (queue?.waiting ?? 0), 0);
    return {
      endpoint: asked(question),
      at: [...new Set(sockets.map(localOf))],
      serving: holders.filter((holder) => !idle.has(holder)).map(who),
      inherited: [...idle].map(who),
      waiting,
      managed: managed(holders, question),
    };
  },
  say({ endpoint, at, serving, inherited, waiting, managed: by }) {
    const where = places(at, endpoint);
    if (serving.length > 0) {
      return `${processes(serving, 0)} ${agree(serving.length, 'listens', 'listen')} on ${where}, and ${processes(inherited, 0)} inherited the same socket and ${agree(inherited.length, 'keeps', 'keep')} it open${andThen(by)}`;
    }
    const queued =
      waiting === 0
        ? ''
        : `; ${waiting} ${agree(waiting, 'connection is', 'connections are')} waiting and nobody accepts them`;
    return `${processes(inherited, 0)} ${agree(inherited.length, 'keeps', 'keep')} the listening socket on ${where} open and ${agree(inherited.length, 'does', 'do')} not accept connections; it was most likely inherited from a server that has exited${queued}${andThen(by)}`;
  },
  remedies: (_args, question) => stopServers(question),
  stages: [
    {
      title: 'the server was killed, and a worker that it had started lives on',
      needs: [],
      async stage(stage) {
        const { server, listener, port } = await listening(stage, '127.0.0.1', { reuseAddress: true });
        const worker = await server.spawn('worker', [listener]);
        await server.kill();
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server on 127.0.0.1:${port} was killed, and its worker (pid ${worker.pid}) inherited the socket`,
          holders: [worker.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'the server lives and serves, and a worker that it had started also has the socket open',
      needs: [],
      async stage(stage) {
        const { server, listener, port } = await listening(stage, '127.0.0.1', { reuseAddress: true });
        const worker = await server.spawn('worker', [listener]);
        await listener.serve();
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) listens on 127.0.0.1:${port}, and its worker (pid ${worker.pid}) inherited the socket`,
          holders: [server.pid, worker.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title:
        'the worker accepts connections, and the server that started it only has the socket open, beside a second worker',
      needs: [],
      async stage(stage) {
        const { server, listener, port } = await listening(stage, '127.0.0.1', { reuseAddress: true });
        const serving = await server.spawn('serving-worker', [listener], true);
        const idle = await server.spawn('idle-worker', [listener]);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) shares the socket on 127.0.0.1:${port} with a worker that serves (pid ${serving.pid}) and one that does not (pid ${idle.pid})`,
          holders: [server.pid, serving.pid, idle.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'the server died, and its child still serves: that is a server like any other',
      needs: [],
      async stage(stage) {
        const { server, listener, port } = await listening(stage, '127.0.0.1', { reuseAddress: true });
        const worker = await server.spawn('worker', [listener], true);
        await server.kill();
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server on 127.0.0.1:${port} was killed, and its worker (pid ${worker.pid}) serves its clients`,
          holders: [worker.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', cause: 'other-listener', remedies: ['stop-process'] },
    },
  ],
});
