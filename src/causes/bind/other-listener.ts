import { cause } from '../cause.ts';
import { amongOurselves, conductWords } from '../shared/conduct.ts';
import { listenerArgs } from '../shared/listener-args.ts';
import { listenersOf } from '../shared/listeners.ts';
import { makeRoom } from '../shared/making-room.ts';
import { connected, listening } from '../shared/scenes.ts';
import { stopServers } from '../shared/stopping.ts';
import { andThen, hears, named, places, processes } from '../shared/words.ts';

/** The plain case: somebody listens exactly there. */
export default cause({
  id: 'other-listener',
  title: 'Another program listens on this port',
  on: ['linux', 'darwin'],
  page: {
    see: 'Your server fails with `EADDRINUSE`, at once and every time. Often it is an older copy of the same server: a terminal that was closed, a debugger that was stopped, a watcher that started the new copy before the old one had exited.',
    why: 'Only one socket may listen on an address and a port. `SO_REUSEADDR`, which Node sets, never lets two programs listen together on Linux; it only helps against connections that are left over. The clients of that server also have sockets on its port. They do not block it, and they disappear with the server.',
    now: '`rebind free 3000` stops that program (SIGTERM), waits until your server could listen, and leaves nothing behind that would block it. `rebind why 3000 --json` names every process that has the socket open. If the program belongs to another user, only that user and root can see it.',
    prevent:
      'Stop the old server before you start the new one, and close its listener on SIGTERM. With `rebind hold 3000 -- node server.js` the port stays open while the program restarts, so the two never collide. In your own server, `listen(server, { port: 3000, busy: "wait" })` waits for the old one.',
  },
  recognise(question) {
    const sockets = listenersOf(question, 'plain');
    const [first] = sockets;
    if (first === undefined) return null;
    return listenerArgs(first, sockets, question);
  },
  say: ({ endpoint, protocol, at, uid, holders, conduct, managed: by }) =>
    conduct === 'held-here'
      ? `rebind hold keeps ${places(at, endpoint)} open${conductWords(conduct)}`
      : conduct === 'this-process'
        ? `This very process, ${processes(holders, uid)}, already ${hears(protocol, 1)} on ${places(at, endpoint)}: ${protocol === 'udp' ? 'bind' : 'listen'} was called twice, or by two parts of the program`
        : `${processes(holders, uid)} already ${hears(protocol, named(holders))} on ${places(at, endpoint)}${conductWords(conduct)}${andThen(by)}`,
  remedies: ({ conduct }, question) => amongOurselves(conduct) ?? [...makeRoom(question), ...stopServers(question)],
  stages: [
    {
      title: 'a Node server listens on ::, and you want ::',
      needs: ['ipv6'],
      async stage(stage) {
        const server = await stage.nodeServer({ port: stage.freePort() });
        return stage.staged({
          request: stage.tcp('::', server.port),
          description: `a Node server (pid ${server.pid}) listens on port ${server.port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a server with connected clients: the server is named, and the clients are not',
      needs: [],
      async stage(stage) {
        const { server, client, port } = await connected(stage, '127.0.0.1', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) listens on 127.0.0.1:${port} and has a client (pid ${client.pid})`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'two servers share the port by SO_REUSEPORT, and you do not',
      needs: [],
      async stage(stage) {
        const one = await listening(stage, '127.0.0.1', { role: 'one', reuseAddress: true, reusePort: true });
        const other = await listening(stage, '127.0.0.1', {
          role: 'other',
          reuseAddress: true,
          reusePort: true,
          port: one.port,
        });
        return stage.staged({
          request: stage.tcp('127.0.0.1', one.port),
          description: `two servers (pid ${one.server.pid} and pid ${other.server.pid}) share 127.0.0.1:${one.port} by SO_REUSEPORT`,
          holders: [one.server.pid, other.server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'one program listens on TCP, another receives on UDP of the same number, and you want UDP',
      needs: [],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.1', { role: 'tcp-server', reuseAddress: true });
        const udp = await stage.actor('udp-server');
        const receiver = await udp.open({ kind: 'udp' });
        await receiver.bind('127.0.0.1', port);
        return stage.staged({
          request: stage.udp('127.0.0.1', port),
          description: `one program listens on TCP port ${port} (pid ${server.pid}), another receives on UDP port ${port} (pid ${udp.pid})`,
          holders: [udp.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a program receives on UDP, and you want TCP of the same number: nothing blocks',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const udp = await stage.actor('udp-server');
        const receiver = await udp.open({ kind: 'udp' });
        await receiver.bind('127.0.0.1', port);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a program receives on UDP port ${port} (pid ${udp.pid})`,
        });
      },
      expect: { bindable: true, errno: null, cause: null, remedies: [] },
    },
    {
      title: "another user's server, asked without the right to look at its processes",
      needs: ['second-user', 'unprivileged'],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.1', { reuseAddress: true, user: stage.secondUser() });
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server of another user (pid ${server.pid}) listens on 127.0.0.1:${port}`,
          ...stage.unprivileged(),
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'one server on 127.0.0.1, another on ::1, and you want ::1',
      needs: ['ipv6'],
      async stage(stage) {
        const v4 = await listening(stage, '127.0.0.1', { role: 'ipv4-server', reuseAddress: true });
        const v6 = await listening(stage, '::1', { role: 'ipv6-server', reuseAddress: true, port: v4.port });
        return stage.staged({
          request: stage.tcp('::1', v4.port),
          description: `one server listens on 127.0.0.1:${v4.port} (pid ${v4.server.pid}), another on [::1]:${v4.port} (pid ${v6.server.pid})`,
          holders: [v6.server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
  ],
});
