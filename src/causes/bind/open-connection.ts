import { cause } from '../cause.ts';
import { blockersOf, holdersOf } from '../shared/kinds.ts';
import { connected } from '../shared/scenes.ts';
import { stopServers } from '../shared/stopping.ts';
import { agree, asked, localOf, named, processes, remoteOf, who } from '../shared/words.ts';

/** An accepted connection that outlives its listener. */
export default cause({
  id: 'open-connection',
  title: 'The server stopped listening, but an accepted connection is still open',
  on: ['linux', 'darwin'],
  page: {
    see: 'The old server says that it has stopped listening, or is shutting down, and `ss -tln` shows no listener. Still the new one fails with `EADDRINUSE`, sometimes for hours: as long as one client stays connected.',
    why: 'A connection that a server accepts has the port of the server. `close()` of the listener does not end it: keep-alive connections, WebSockets, downloads, and a graceful shutdown that waits for them all keep the port. They block only when the server, or yours, has not set `SO_REUSEADDR`; setting it on the new server alone does not help.',
    now: '`rebind free 3000` stops the process that has the connection, and marks its sockets first so that no leftover blocks you. Its clients lose their connection.',
    prevent:
      'Set `SO_REUSEADDR` in the server (Node does). When it stops, let it end idle connections and limit how long it waits for busy ones: `close(server, { graceMs: 10_000 })` does both.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'accepted');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      connections: sockets.length,
      local: localOf(first),
      remote: remoteOf(first),
      uid: first.uid,
      holders: holdersOf(sockets, question).map(who),
    };
  },
  say({ connections, local, remote, uid, holders }) {
    const what =
      connections === 1 ? `a connection from ${remote} to ${local}` : `${connections} connections to ${local}`;
    return `${processes(holders, uid)} still ${agree(named(holders), 'has', 'have')} ${what} open; no program listens there now`;
  },
  remedies: (_args, question) => stopServers(question),
  stages: [
    {
      title: 'a server without SO_REUSEADDR closed its listener, and a client stays connected',
      needs: [],
      async stage(stage) {
        const { server, listener, port } = await connected(stage, '127.0.0.1', { role: 'server-without-reuseaddr' });
        await listener.close();
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) stopped listening on 127.0.0.1:${port} and still serves a client`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'the client has closed it, and the server has not noticed (CLOSE_WAIT)',
      needs: [],
      async stage(stage) {
        const { server, listener, client, port } = await connected(stage, '127.0.0.1', {
          role: 'server-without-reuseaddr',
        });
        await listener.close();
        await client.kill();
        await stage.settled(port, (states) => states.join() === 'CLOSE_WAIT');
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) stopped listening on 127.0.0.1:${port} and never closed the connection of a client that left`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a server with SO_REUSEADDR closed its listener, and a client stays connected: nothing blocks',
      needs: [],
      async stage(stage) {
        const { server, listener, port } = await connected(stage, '127.0.0.1', { reuseAddress: true });
        await listener.close();
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a server (pid ${server.pid}) stopped listening on 127.0.0.1:${port} and still serves a client`,
        });
      },
      expect: { bindable: true, errno: null, cause: null, remedies: [] },
    },
  ],
});
