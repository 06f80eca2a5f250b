import { dropsOf } from '../../model/reach/path.ts';
import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { whoHas } from './shared/holders.ts';
import { alone } from './shared/hosts.ts';
import { look } from './shared/look.ts';

/** Datagrams wait in the buffer of the socket, or are dropped by it: the program does not read (udp(7); the last column of /proc/net/udp). */
export default addressCause({
  id: 'udp-not-read',
  title: 'The program has the UDP port and does not read',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'Silence, although the server runs.',
    why: 'The datagram waits unread in the buffer of the socket, or the buffer was full and the datagram was dropped. The program hangs, is suspended, or is too slow.',
    now: 'Look at what the program does; restart it if it hangs. `ss -uanm` shows the bytes that wait (Recv-Q) and the drops (d).',
    prevent: 'Raise the buffer (`SO_RCVBUF`, `net.core.rmem_max`) for bursts.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence?.protocol !== 'udp' || evidence.ours !== true || !('datagram' in evidence)) return null;
    const { datagram, before } = evidence;
    const found = before.lookup?.found ?? null;
    if (found === null || datagram === null || datagram.reply?.kind !== 'silence') return null;
    const after = datagram.sockets?.find(({ inode }) => inode === found.inode) ?? null;
    const dropped = dropsOf(found, datagram) ?? 0;
    const waiting = after?.unread ?? 0;
    if (dropped <= 0 && waiting <= 0) return null;
    return {
      endpoint: placeOf(evidence),
      dropped,
      waiting,
      uid: found.uid,
      ...whoHas(evidence.conditions, [found.inode]),
    };
  },
  say: ({ endpoint, dropped, waiting, holders, uid }) =>
    dropped > 0
      ? `${processes(holders, uid)} has ${endpoint} and does not read: its buffer is full and drops what arrives`
      : `${processes(holders, uid)} has ${endpoint} and does not read: ${waiting} bytes wait`,
  remedies: () => [look('Look at what the program does, and restart it if it hangs', null)],
  stages: [
    {
      title: 'a program has the port and never reads',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a program has UDP port PORT and never reads',
          async (host, port) => {
            const actor = await host.actor('server');
            await (await actor.open({ kind: 'udp' })).bind('127.0.0.1', port);
            return actor;
          },
          { udp: true, flags: ['--request'] },
        ),
      expect: { reachable: false, errno: null, remedies: ['investigate'] },
    },
    {
      title: 'the buffer of the program is full',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a program has UDP port PORT and never reads, and its buffer is full',
          async (host, port) => {
            const actor = await host.actor('server');
            const socket = await actor.open({ kind: 'udp' });
            // SO_RCVBUF, as small as it gets.
            await socket.setRaw(1, 8, '00010000');
            await socket.bind('127.0.0.1', port);
            const client = await (await host.actor('client')).open({ kind: 'udp' });
            await client.connect('127.0.0.1', port);
            await client.send(64_000);
            return actor;
          },
          { udp: true, flags: ['--request'] },
        ),
      expect: { reachable: false, errno: null, remedies: ['investigate'] },
    },
  ],
});
