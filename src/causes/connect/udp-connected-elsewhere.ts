import { formatAddress } from '../../model/address.ts';
import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { whoHas } from './shared/holders.ts';
import { alone } from './shared/hosts.ts';
import { look } from './shared/look.ts';

/** A UDP socket that is connected takes datagrams of its peer only (udp(7)). */
export default addressCause({
  id: 'udp-connected-elsewhere',
  title: 'The UDP socket on this port only talks to another peer',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED`, although `ss -unp` shows a socket on the port.',
    why: 'The socket is connected to a peer, and the kernel gives it datagrams of that peer only. Either the program is a client that happens to have this port, or a server that connected its only socket to its first client.',
    now: 'Use another port, or let the server answer with `sendto` instead of `connect`.',
    prevent: 'A UDP server keeps its socket unconnected, or opens one for each client.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence?.protocol !== 'udp' || evidence.ours !== true || evidence.before.lookup?.found !== null) return null;
    const socket = (evidence.before.sockets ?? []).find(({ remote }) => remote !== null);
    if (socket === undefined || socket.remote === null) return null;
    return {
      endpoint: placeOf(evidence),
      peer: formatAddress(socket.remote.address, socket.remote.port),
      uid: socket.uid,
      ...whoHas(evidence.conditions, [socket.inode]),
    };
  },
  say: ({ endpoint, peer, holders, uid }) =>
    `${processes(holders, uid)} has ${endpoint}, and its socket takes datagrams from ${peer} only`,
  remedies: () => [look('Look at what the program is: a client has this port by chance', null)],
  stages: [
    {
      title: 'a program has connected its socket to another peer',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a program has UDP port PORT, connected to 127.0.0.9:5000',
          async (host, port) => {
            const actor = await host.actor('server');
            const socket = await actor.open({ kind: 'udp' });
            await socket.bind('127.0.0.1', port);
            await socket.connect('127.0.0.9', 5000);
            return actor;
          },
          { udp: true },
        ),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['investigate'] },
    },
  ],
});
