import { isLeftover } from '../../model/leftover.ts';
import { cause } from '../cause.ts';
import { blockersOf, holdersOf } from '../shared/kinds.ts';
import { cutConnections, longest, removeLeftovers, reservePort, wait } from '../shared/remedies.ts';
import { asked, localOf, processes, seconds, who } from '../shared/words.ts';

/** A client that waits for a server, and found itself. */
export default cause({
  id: 'self-connect',
  title: 'A client that waits for your server is connected to itself on this port',
  on: ['linux'],
  page: {
    see: 'A script polls the port until your server is up, and then reports that it is, although the server never started: it fails with `EADDRINUSE`, and there is no listener. `ss -tan` shows a connection with the same address and port on both sides.',
    why: 'A client that connects to a port of the automatic range, while no program listens there, is given some port of that range for its own end. When that happens to be the one it connects to, TCP connects it with itself (a "simultaneous open"). The chance is about one in 28,000 for each try, so a script that polls in a loop meets it sooner or later.',
    now: 'Stop the client that polls; `rebind why` names it. Its connection is closed with it. Or close the connection with `sudo rebind free 49500 --force`; the client can keep polling.',
    prevent:
      'Choose a port below the automatic range, such as 8080, or reserve the port: `sudo sysctl -w net.ipv4.ip_local_reserved_ports=49500`. `rebind wait 49500 --for open` does not fall for it: it never connects, it looks for a listener.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'self');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      local: localOf(first),
      closed: sockets.every(isLeftover),
      waitMs: longest(sockets),
      uid: first.uid,
      holders: holdersOf(sockets, question).map(who),
    };
  },
  say: ({ local, closed, waitMs, uid, holders }) =>
    closed
      ? `${local} is held by the leftover connection of a client that was connected to itself${waitMs === null ? '' : `, for another ${seconds(waitMs)}`}`
      : `${processes(holders, uid)} tried to connect to ${local}, got the same port as its source port, and is now connected to itself`,
  remedies(_args, question) {
    const sockets = blockersOf(question, 'self');
    const leftovers = sockets.filter(isLeftover);
    return [
      wait(sockets, question),
      ...cutConnections(sockets, question),
      ...removeLeftovers(leftovers, question),
      ...reservePort(question),
    ];
  },
  stages: [
    {
      title: 'a client polls 127.0.0.1 and gets the very port that it polls',
      needs: ['namespace'],
      async stage(stage) {
        // One automatic port only: the coincidence is certain then.
        const port = stage.freePort();
        stage.setting('ipv4.ip_local_port_range', `${port} ${port}`);
        stage.defer(async () => stage.setting('ipv4.ip_local_port_range', '32768 60999'));
        const client = await stage.actor('client');
        const connection = await client.open();
        await connection.connect('127.0.0.1', port);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a client (pid ${client.pid}) polled 127.0.0.1:${port} and is connected to itself`,
          holders: [client.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'remove-leftovers', 'reserve-port'] },
    },
    {
      title: 'a client that named its port itself is connected to itself, and you want ::',
      needs: ['ipv6'],
      async stage(stage) {
        const port = stage.freePort();
        const client = await stage.actor('client');
        const connection = await client.open();
        await connection.bind('127.0.0.1', port);
        await connection.connect('127.0.0.1', port);
        return stage.staged({
          request: stage.tcp('::', port),
          description: `a client (pid ${client.pid}) is connected to itself on 127.0.0.1:${port}`,
          holders: [client.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'stop-process'] },
    },
    {
      title: 'a client that was connected to itself has exited (TIME_WAIT)',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const client = await stage.actor('client');
        const connection = await client.open();
        await connection.bind('127.0.0.1', port);
        await connection.connect('127.0.0.1', port);
        await client.kill();
        await stage.settled(port, (states) => states.join() === 'TIME_WAIT');
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a client was connected to itself on 127.0.0.1:${port} and has ended`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'remove-leftovers'] },
    },
  ],
});
