import type { InetSocket } from '../../model/facts.ts';
import { canonical } from '../../model/rules/span.ts';
import type { Question } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { blockersOf } from '../shared/kinds.ts';
import { useLoopback } from '../shared/remedies.ts';
import { connected } from '../shared/scenes.ts';
import { agree, asked, list, localOf } from '../shared/words.ts';

/** Rides along with the cause that says what the connection is; this one says why an IPv6 connection blocks IPv4 at all. */
export default cause({
  id: 'ipv6-connection',
  title: 'A connection over IPv6 blocks 0.0.0.0',
  on: ['linux'],
  page: {
    see: 'Your server wants `0.0.0.0`. Nothing has the port on an IPv4 address; there is only a connection on an IPv6 address such as `::1`, or its TIME_WAIT. `127.0.0.1` on the same port works.',
    why: 'When something wants `0.0.0.0`, Linux does not compare addresses with IPv6 sockets: it asks whether they are IPv6-only (`ipv4_rcv_saddr_equal` in the kernel). Connections that a server on `::` has accepted are not, even those that came over IPv6. So they collide, as long as `SO_REUSEADDR` was missing on one of the two sides.',
    now: 'Listen on `127.0.0.1` if only programs of this machine connect, or on `::`, or deal with the connection as the answer says: wait for it, or stop the process that has it open.',
    prevent: 'Set `SO_REUSEADDR` in both servers, as Node does, or make the old one IPv6-only.',
  },
  recognise(question) {
    const sockets = straysOf(question);
    if (sockets.length === 0) return null;
    return { endpoint: asked(question), at: [...new Set(sockets.map(localOf))] };
  },
  say: ({ endpoint, at }) =>
    `${endpoint} collides with ${agree(at.length, 'the IPv6 address', 'the IPv6 addresses')} ${list(at)}, because that connection belongs to a socket that also covers IPv4`,
  remedies: (_args, question) => useLoopback(question),
  stages: [
    {
      title:
        'a server on :: without SO_REUSEADDR closed its listener but not a connection over ::1, and you want 0.0.0.0',
      needs: ['ipv6'],
      async stage(stage) {
        const { server, listener, port } = await connected(stage, '::', { role: 'server-without-reuseaddr' }, '::1');
        await listener.close();
        return stage.staged({
          request: stage.tcp('0.0.0.0', port),
          description: `a server (pid ${server.pid}) stopped listening on [::]:${port} and still serves a client over ::1`,
          holders: [server.pid],
        });
      },
      expect: {
        bindable: false,
        errno: 'EADDRINUSE',
        cause: 'open-connection',
        also: ['ipv6-connection'],
        remedies: ['stop-process', 'use-address'],
      },
    },
  ],
});

/** Connections on a real IPv6 address, or what is left of them (ipv4_rcv_saddr_equal). */
function straysOf(question: Question): InetSocket[] {
  const { endpoint } = question.request;
  if (endpoint.protocol === 'unix' || endpoint.address !== '0.0.0.0') return [];
  return blockersOf(question, 'closed', 'orphan', 'accepted', 'outgoing').filter(
    ({ family, local }) => family === 6 && !canonical(local.address).startsWith('::ffff:'),
  );
}
