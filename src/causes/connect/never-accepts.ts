import type { HolderCondition } from '../../model/reach/evidence.ts';
import { addressCause } from './form.ts';
import { peopleOf, processOf, stopServer, untaken, waitingWords } from './shared/untaken.ts';

/** The socket listens, and nobody who has it open waits for its connections. */
export default addressCause({
  id: 'never-accepts',
  title: 'A process has the listener open and never accepts',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'The connect succeeds and nothing is answered. `ss -tlnp` shows a listener, and a Recv-Q that grows.',
    why: 'The process that has the listener open does not wait for connections: it inherited the descriptor from a server that is gone, or it listens and hangs before it enters its event loop, at a database or another service. The kernel completes connections for every listener, whether anybody accepts or not.',
    now: '`rebind free 3000` stops the process that has it. If it is your server that hangs at its start, look at what it waits for.',
    prevent:
      'Listen as the last step of the start. Open listeners close-on-exec, as Node does, and do not pass them to children that do not serve.',
  },
  recognise(question) {
    const found = untaken(question);
    if (found === null || found.unseen || found.conditions.length === 0) return null;
    if (!found.conditions.every(neverWaits)) return null;
    const { endpoint, uid, waiting, port } = found;
    return { endpoint, uid, waiting, port, holders: peopleOf(found.conditions) };
  },
  say: ({ endpoint, uid, waiting, holders }) =>
    `${processOf(holders, uid)} has the listener on ${endpoint} open and does not wait for connections${waitingWords(waiting)}`,
  remedies: ({ port }) => stopServer(port),
  stages: [
    {
      title: 'a program listens and never accepts',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const server = await stage.actor('program');
        const listener = await server.open();
        await listener.bind('127.0.0.1', port);
        await listener.listen();
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a program (pid ${server.pid}) listens on 127.0.0.1:${port} and never accepts`,
          holders: [server.pid],
          asUser: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['stop-process'], asUser: { cause: 'not-accepted' } },
    },
    {
      title: 'a child inherited the listener of a server that is gone',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const server = await stage.actor('server');
        const listener = await server.open();
        await listener.bind('127.0.0.1', port);
        await listener.listen();
        const child = await server.spawn('worker', [listener]);
        await server.exit();
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a worker (pid ${child.pid}) inherited the listener on 127.0.0.1:${port} of a server that is gone`,
          holders: [child.pid],
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['stop-process'] },
    },
  ],
});

/** It runs, has room for another connection, serves nobody else, and still waits for none. */
function neverWaits({ holder, frozen, busy, descriptors, waits, serves }: HolderCondition): boolean {
  const hasRoom = descriptors?.limit == null || descriptors.open < descriptors.limit;
  const runs = !/^[Tt]$/.test(holder.processState) && frozen !== true && (busy ?? 0) < 0.5;
  return waits === false && serves === null && hasRoom && runs;
}
