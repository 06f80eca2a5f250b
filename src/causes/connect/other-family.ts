import { familyOf } from '../../model/address.ts';
import { agree, list, named, processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { absentFrom, askThere, listenEverywhere } from './shared/absent.ts';
import { familiesOf, isLoopback } from './shared/take.ts';

/** The server has one family, and the client asks with the other. */
export default addressCause({
  id: 'other-family',
  title: 'The server listens on IPv4 and the client asks with IPv6, or the other way round',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED ::1:3000` although the server runs and `http://127.0.0.1:3000` works, or the other way round. It began with a new version of Node: since 17 the first address of `localhost` is used, which is mostly `::1`.',
    why: '`localhost` has two addresses, `127.0.0.1` and `::1`. A server that listens on one of them, or on `0.0.0.0`, or on `::` with IPv6 only, does not take connections to the other. Node from version 20 tries both addresses of a name; other clients, and clients that were given an address, do not.',
    now: 'Connect to the address of the other family, which the answer names; or let the server listen on `::`, which takes both.',
    prevent:
      'Call `server.listen(3000)` without a host: Node then listens on `::` for IPv6 and IPv4. Write the same name in the configuration of server and client, and not an address in one of them.',
  },
  recognise(question) {
    const absent = absentFrom(question);
    if (absent === null) return null;
    const family = familyOf(absent.address);
    const others = absent.listeners.filter((socket) => !familiesOf(socket).includes(family));
    if (others.length < absent.listeners.length) return null;
    // From another address a listener on the loopback of the other family is as far away.
    if (!isLoopback(absent.address) && others.every(({ local }) => isLoopback(local.address))) return null;
    const { endpoint, at, uid, holders, port } = absent;
    return { endpoint, family, at, uid, holders, port };
  },
  say: ({ endpoint, family, at, uid, holders }) =>
    `${processes(holders, uid)} ${agree(named(holders), 'listens', 'listen')} on ${list(at)}, which takes no IPv${family} connections: ${endpoint} is refused`,
  remedies({ at, family, port }) {
    const reach = at.map((place) => place.replace(/^0\.0\.0\.0:/, '127.0.0.1:').replace(/^\[::\]:/, '[::1]:'));
    return [
      askThere(reach),
      listenEverywhere('::', `Let the server listen on [::]:${port}, which takes IPv${family}, too`),
    ];
  },
  stages: [
    {
      title: 'a Node server listens on 127.0.0.1, and ::1 is asked',
      needs: ['ipv6'],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        return stage.reached({
          words: [`[::1]:${port}`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port}`,
          holders: [pid],
        });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['use-address', 'listen-address'] },
    },
    {
      title: 'a Node server listens on :: with IPv6 only, and 127.0.0.1 is asked',
      needs: ['ipv6'],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '::', ipv6Only: true });
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a Node server (pid ${pid}) listens on [::]:${port} for IPv6 only`,
          holders: [pid],
        });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED' },
    },
  ],
});
