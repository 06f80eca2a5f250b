import { cause } from '../cause.ts';
import { amongOurselves, conductWords } from '../shared/conduct.ts';
import { listenerArgs } from '../shared/listener-args.ts';
import { listenersOf } from '../shared/listeners.ts';
import { makeRoom } from '../shared/making-room.ts';
import { useLoopback } from '../shared/remedies.ts';
import { listening } from '../shared/scenes.ts';
import { stopServers } from '../shared/stopping.ts';
import { andThen, hears, list, named, processes, reach } from '../shared/words.ts';

/** One address against all addresses of the same family. */
export default cause({
  id: 'wildcard-overlap',
  title: 'One program uses every address, the other one of them',
  on: ['linux', 'darwin'],
  page: {
    see: 'The addresses look different, `0.0.0.0` here and `127.0.0.1` there, but the second server fails with `EADDRINUSE`.',
    why: '`0.0.0.0` and `::` mean every address of the machine, so they collide with a listener on any single one. On Linux this is so in either order, with or without `SO_REUSEADDR`. On macOS both may listen, so programs written there fail here.',
    now: 'Stop the other program with `rebind free 3000`, or give each a single address: two servers on `127.0.0.1` and `127.0.0.2`, or on loopback and on the network card, do not collide.',
    prevent:
      'Let every program name the address it means. A development server seldom needs more than `127.0.0.1`, and then it is not open to the network either.',
  },
  recognise(question) {
    const { endpoint, options } = question.request;
    if (endpoint.protocol === 'unix') return null;
    const sockets = listenersOf(question, 'wildcard');
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      ...listenerArgs(first, sockets, question),
      wants: reach(endpoint.address, options.v6Only),
      has: reach(first.local.address, first.v6Only === true),
    };
  },
  say({ endpoint, protocol, wants, at, has, uid, holders, conduct, managed: by }) {
    const listen = `${processes(holders, uid)} ${hears(protocol, named(holders))} on ${list(at)}${conductWords(conduct)}`;
    return wants.startsWith('every')
      ? `${listen}, and ${endpoint} covers ${wants}${andThen(by)}`
      : `${listen}, which covers ${has}, including ${endpoint}${andThen(by)}`;
  },
  remedies: ({ conduct }, question) => [
    ...makeRoom(question),
    ...useLoopback(question),
    ...(amongOurselves(conduct) ?? stopServers(question)),
  ],
  stages: [
    {
      title: 'a server has 0.0.0.0, and you want 127.0.0.1',
      needs: [],
      async stage(stage) {
        const server = await stage.nodeServer({ port: stage.freePort(), host: '0.0.0.0' });
        return stage.staged({
          request: stage.tcp('127.0.0.1', server.port),
          description: `a Node server (pid ${server.pid}) listens on 0.0.0.0:${server.port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a server has 127.0.0.1, and you want 0.0.0.0',
      needs: [],
      async stage(stage) {
        const server = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        return stage.staged({
          request: stage.tcp('0.0.0.0', server.port),
          description: `a Node server (pid ${server.pid}) listens on 127.0.0.1:${server.port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a server has 127.0.0.2, and you want 0.0.0.0, of which 127.0.0.1 is free',
      needs: [],
      async stage(stage) {
        const { server, port } = await listening(stage, '127.0.0.2', { reuseAddress: true });
        return stage.staged({
          request: stage.tcp('0.0.0.0', port),
          description: `a server (pid ${server.pid}) listens on 127.0.0.2:${port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process', 'use-address'] },
    },
    {
      title: 'a server has ::1, and you want ::',
      needs: ['ipv6'],
      async stage(stage) {
        const server = await stage.nodeServer({ port: stage.freePort(), host: '::1' });
        return stage.staged({
          request: stage.tcp('::', server.port),
          description: `a Node server (pid ${server.pid}) listens on [::1]:${server.port}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a program receives UDP on 127.0.0.1, and you want 0.0.0.0',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('udp-server');
        const receiver = await actor.open({ kind: 'udp' });
        await receiver.bind('127.0.0.1', port);
        return stage.staged({
          request: stage.udp('0.0.0.0', port),
          description: `a program (pid ${actor.pid}) receives on UDP 127.0.0.1:${port}`,
          holders: [actor.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
  ],
});
