import { addressCause } from './form.ts';
import { look } from './shared/look.ts';
import { peopleOf, processOf, stopServer, untaken, waitingWords } from './shared/untaken.ts';

/** As far as it can be told without looking into the process. It stands alone: another cause says more. */
export default addressCause({
  id: 'not-accepted',
  title: 'The kernel has the connection, and the server does not accept it',
  on: ['linux'],
  at: 'process',
  alone: true,
  page: {
    see: 'The connect succeeds and nothing is answered. Further connects hang once the queue of the listener is full.',
    why: 'The kernel completed the connection for the listener, and half a second later no process had accepted it. The reason is in the process: it may be suspended, busy, out of descriptors, or serving another client. Which of these it is can be seen by root and by the user of the process.',
    now: 'Run `rebind reach` as root, or as the user of the server: it then says what the process does.',
    prevent: 'Let a health check send a request: a connection alone succeeds as long as the queue has room.',
  },
  recognise(question) {
    const found = untaken(question);
    // A full queue is a cause of its own.
    if (found === null || found.full || found.foreseen) return null;
    const { endpoint, uid, waiting, port, unseen } = found;
    return { endpoint, uid, waiting, port, unseen, holders: peopleOf(found.conditions) };
  },
  say: ({ endpoint, uid, waiting, holders }) =>
    `${processOf(holders, uid)} listens on ${endpoint} and did not accept the connection within half a second${waitingWords(waiting)}`,
  remedies: ({ unseen, port }, { target, advice }) => [
    ...(unseen && target.protocol !== 'unix'
      ? [
          look(
            'See what its process does',
            advice.asAdministrator(
              `rebind reach ${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`,
            ),
          ),
        ]
      : []),
    ...stopServer(port),
  ],
  stages: [
    {
      title: 'a program of another user never accepts, and may not be looked into',
      needs: ['root', 'second-user', 'unprivileged'],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('server', stage.secondUser());
        const socket = await actor.open();
        await socket.bind('127.0.0.1', port);
        await socket.listen();
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a program of another user (pid ${actor.pid}) listens on 127.0.0.1:${port} and never accepts`,
          from: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
  ],
});
