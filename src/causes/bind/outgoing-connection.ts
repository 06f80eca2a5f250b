import { cause } from '../cause.ts';
import { blockersOf, holdersOf } from '../shared/kinds.ts';
import { cutConnections, reservePort, useLoopback, wait } from '../shared/remedies.ts';
import { listening } from '../shared/scenes.ts';
import { agree, asked, localOf, named, processes, remoteOf, who } from '../shared/words.ts';

/** The port is somebody's source port. */
export default cause({
  id: 'outgoing-connection',
  title: 'An outgoing connection of another program uses this port',
  on: ['linux', 'darwin'],
  page: {
    see: 'No program listens on the port, and still it is in use: by a browser, a database client, an SSH session. It happens now and then, to ports from 32768 on, and is gone after a restart of something unrelated.',
    why: 'Every outgoing connection needs a port on this side, and the kernel chooses one from the automatic range (`net.ipv4.ip_local_port_range`, 32768 to 60999 by default). If your server has its port in that range, a client can be there first. Clients do not set `SO_REUSEADDR`, so setting it on your server does not help. Only addresses that the connection uses are taken: a server on another single address can start.',
    now: 'Wait until the connection ends (`rebind wait 49500`). If the program can do without this one connection, `sudo rebind free 49500 --force` cuts it, and the program goes on; without `--force` rebind leaves it alone, because it may be anything. A port that the program chose itself is available only when the program exits. Then reserve the port.',
    prevent:
      'Choose a port below the automatic range, such as 8080. Or reserve it: `sudo sysctl -w net.ipv4.ip_local_reserved_ports=49500`, and the same line in a file in /etc/sysctl.d, so that it lasts; no client is given a reserved port, and your server may still use it.',
  },
  recognise(question) {
    const sockets = blockersOf(question, 'outgoing');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      protocol: first.protocol,
      connections: sockets.length,
      local: localOf(first),
      remote: remoteOf(first),
      uid: first.uid,
      holders: holdersOf(sockets, question).map(who),
    };
  },
  say({ endpoint, local, remote, uid, holders, connections }) {
    const uses = `${processes(holders, uid)} ${agree(named(holders), 'uses', 'use')} ${local}`;
    const kind =
      connections === 1 ? 'its own end of a connection' : `its own end of ${connections} connections, one of them`;
    return `${uses} as ${kind} to ${remote}${endpoint === local ? '' : `, and so ${endpoint} is taken`}`;
  },
  remedies: (_args, question) => {
    const sockets = blockersOf(question, 'outgoing');
    return [
      wait(sockets, question),
      ...useLoopback(question),
      ...cutConnections(sockets, question),
      ...reservePort(question),
    ];
  },
  stages: [
    {
      title: 'a client was given the port that your server wants',
      needs: [],
      async stage(stage) {
        const { port: elsewhere } = await listening(stage, '127.0.0.1', { role: 'database', reuseAddress: true });
        const client = await stage.actor('client');
        const connection = await client.open();
        await connection.connect('127.0.0.1', elsewhere);
        const { port } = await connection.inetAddress();
        return stage.staged({
          request: stage.tcp('::', port),
          description: `a client (pid ${client.pid}) is connected to 127.0.0.1:${elsewhere} and was given port ${port} for it`,
          holders: [client.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'remove-leftovers', 'reserve-port'] },
    },
    {
      title: 'a client from 127.0.0.2, and you want every address: 127.0.0.1 is free',
      needs: [],
      async stage(stage) {
        const { port: elsewhere } = await listening(stage, '127.0.0.1', { role: 'database', reuseAddress: true });
        const client = await stage.actor('client');
        const connection = await client.open();
        await connection.bind('127.0.0.2', 0);
        await connection.connect('127.0.0.1', elsewhere);
        const { port } = await connection.inetAddress();
        return stage.staged({
          request: stage.tcp('0.0.0.0', port),
          description: `a client (pid ${client.pid}) is connected from 127.0.0.2:${port} to 127.0.0.1:${elsewhere}`,
          holders: [client.pid],
        });
      },
      expect: {
        bindable: false,
        errno: 'EADDRINUSE',
        remedies: ['wait', 'use-address', 'remove-leftovers', 'reserve-port'],
      },
    },
    {
      title: 'a client named a port below the automatic range itself, so there is nothing to reserve',
      needs: [],
      async stage(stage) {
        const { port: elsewhere } = await listening(stage, '127.0.0.1', { role: 'database', reuseAddress: true });
        const port = stage.freePort();
        const client = await stage.actor('client');
        const connection = await client.open();
        await connection.bind('127.0.0.1', port);
        await connection.connect('127.0.0.1', elsewhere);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `a client (pid ${client.pid}) is connected from 127.0.0.1:${port}, which it asked for, to 127.0.0.1:${elsewhere}`,
          holders: [client.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['wait', 'stop-process'] },
    },
  ],
});
