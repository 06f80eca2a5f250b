import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { peopleOf, processOf, stopServer, untaken } from './shared/untaken.ts';

/** rqueue > wqueue: the kernel takes no more connections for this listener. */
export default addressCause({
  id: 'queue-full',
  title: 'The queue of the server is full',
  on: ['linux'],
  at: 'queue',
  page: {
    see: 'The connect hangs. `ss -tln` shows a Recv-Q that is larger than its Send-Q. A Unix socket fails at once with `EAGAIN`.',
    why: 'The kernel keeps connections in a queue until the server accepts them. When one more than the backlog waits, it drops every further request; the client repeats it for two minutes. A queue is full because the server accepts too slowly or not at all, or because its backlog is small. `net.ipv4.tcp_abort_on_overflow` and SYN cookies change nothing about it.',
    now: 'See why the server does not accept: it may be suspended, busy with one client, or in a long computation. Restart it if it never recovers; the connections in the queue are reset.',
    prevent:
      'Give `listen` a larger backlog (Node has 511), and raise `net.core.somaxconn`, which limits it. Watch `nstat -az TcpExtListenOverflows`.',
  },
  recognise(question) {
    const found = untaken(question);
    if (found === null || !found.full) return null;
    const { endpoint, uid, waiting, limit, port } = found;
    return { endpoint, uid, waiting: waiting ?? 0, limit: limit ?? 0, port, holders: peopleOf(found.conditions) };
  },
  say: ({ endpoint, uid, waiting, limit, holders }) =>
    `The queue of ${endpoint} is full: ${waiting} ${waiting === 1 ? 'connection waits' : 'connections wait'} at a backlog of ${limit}, and ${processOf(holders, uid).replace(/^A process /, 'a process ')} does not accept them`,
  remedies: ({ limit, port }, { advice }) => [
    ...(limit < 128
      ? [change('raise-limit', `Give listen() a larger backlog than ${limit}`, null, { backlog: limit })]
      : [
          change(
            'raise-limit',
            'If it accepts too slowly at times, give listen() a larger backlog, and raise what limits it',
            advice.network?.set('net.core.somaxconn', '4096'),
            { backlog: limit },
          ),
        ]),
    ...stopServer(port),
  ],
  stages: [
    {
      title: 'a program listens with a backlog of 1, never accepts, and has two connections waiting',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const server = await stage.actor('program');
        const listener = await server.open();
        await listener.bind('127.0.0.1', port);
        await listener.listen(1);
        const client = await stage.actor('client');
        for (let waiting = 0; waiting < 2; waiting++) await (await client.open()).connect('127.0.0.1', port);
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `two connections wait for a program (pid ${server.pid}) that listens on 127.0.0.1:${port} with a backlog of 1`,
          holders: [server.pid],
          asUser: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT', also: ['never-accepts'], asUser: { cause: 'queue-full' } },
    },
  ],
});
