import type { InetEvidence, PortSocket } from '../../model/reach/evidence.ts';
import { holdersOf } from '../../model/reach/holders.ts';
import { processes, who } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { change } from './shared/look.ts';
import { takes } from './shared/take.ts';
import { placeOf } from './shared/untaken.ts';

/** SO_REUSEPORT: the kernel gives each client to one of several listeners, and one of them does not accept. */
export default addressCause({
  id: 'half-dead-group',
  title: 'Several servers share the port, and one of them does not accept',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'Some requests work at once, others hang, again and again. Restarting the client does not help.',
    why: 'Several sockets listen on one address with `SO_REUSEPORT`. The kernel chooses one by the address and port of the client, whether its process accepts or not. A member that is suspended, stuck or forgotten swallows its share of the connections.',
    now: 'Stop the member that the answer names, or let it run again.',
    prevent:
      'Let one process watch the members and replace one that does not accept. A member that closes its socket takes no more connections.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    if (evidence === null || evidence.protocol !== 'tcp') return null;
    const members = membersOf(evidence);
    const dead = members.filter((socket) => isDead(socket, evidence));
    const [first] = dead;
    if (members.length < 2 || first === undefined || dead.length === members.length) return null;
    return {
      endpoint: placeOf(evidence),
      port: evidence.endpoint.port,
      members: members.length,
      dead: dead.length,
      uid: first.uid,
      holders: dead.flatMap(({ inode }) => holdersOf(evidence, inode).map(({ holder }) => holder)).map(who),
    };
  },
  say: ({ endpoint, members, dead, uid, holders }) =>
    `${dead} of ${members} listeners on ${endpoint} ${dead === 1 ? 'does' : 'do'} not accept (${processes(holders, uid).replace(/^A process /, 'a process ')}), so about ${Math.round((100 * dead) / members)} % of the clients get no answer`,
  remedies: ({ holders }) => {
    const pids = holders.map(({ pid }) => pid);
    return [
      change(
        'stop-process',
        holders.length === 0
          ? 'Stop the member that does not accept'
          : `Stop ${holders.map(({ program, pid }) => `${program} (pid ${pid})`).join(', ')}`,
        pids.length === 0 ? null : `kill ${pids.join(' ')} `.trim(),
        { pids },
      ),
    ];
  },
  stages: [
    {
      title: 'two servers share a port, and one of them is suspended with a client waiting',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const pids: number[] = [];
        const alive = await stage.actor('alive');
        const dead = await stage.actor('dead');
        for (const server of [alive, dead]) {
          const listener = await server.open({ reusePort: true });
          await listener.bind('127.0.0.1', port);
          await listener.listen();
          if (server === alive) await listener.serve();
          pids.push(server.pid);
        }
        await stage.suspend(dead.pid);
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `two servers (pid ${pids.join(' and ')}) share 127.0.0.1:${port} by SO_REUSEPORT, and one is suspended`,
          holders: pids,
        });
      },
      // Our own connection goes to one or the other, by luck.
      expect: { reachable: false, asUser: null },
    },
  ],
});

/** The listeners among which the kernel chooses. */
function membersOf({ before, attempt, endpoint }: InetEvidence): readonly PortSocket[] {
  const now = attempt?.sockets ?? before.sockets ?? [];
  const group = now.filter((socket) => socket.state === 'LISTEN' && takes(socket, endpoint.address));
  const [first] = group;
  // Only those of exactly one address are a group; a more specific one gets everything.
  return group.filter(({ local, family }) => local.address === first?.local.address && family === first.family);
}

/** Every process that has it open is suspended or paused, or it has more waiting than its queue takes. */
function isDead(socket: PortSocket, evidence: InetEvidence): boolean {
  const holders = holdersOf(evidence, socket.inode);
  const still =
    holders.length > 0 && holders.every(({ holder, frozen }) => /^[Tt]$/.test(holder.processState) || frozen === true);
  return still || (socket.queue !== null && socket.queue.waiting > socket.queue.limit);
}
