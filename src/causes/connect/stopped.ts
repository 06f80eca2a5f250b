import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { peopleOf, processOf, stopServer, untaken, waitingWords } from './shared/untaken.ts';

/** The kernel takes connections for a process that does not run. */
export default addressCause({
  id: 'stopped',
  title: 'The server is suspended',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'The connect succeeds and nothing is answered, ever. After some connections further connects hang as well. `curl` times out with 0 bytes received; `nc -vz` and `nmap` call the port open.',
    why: 'The process was stopped by a signal: Ctrl-Z in its terminal, `kill -STOP`, a debugger, or a background job that read from its terminal. The kernel still completes connections for its listener until the queue is full. The state of the process is `T` in `ps`.',
    now: 'Let it run again: `fg` in its terminal, or `kill -CONT` with its pid.',
    prevent: 'Start servers in the background with `&` or a service manager instead of suspending them with Ctrl-Z.',
  },
  recognise(question) {
    const found = untaken(question);
    if (found === null) return null;
    const stopped = found.conditions.filter(({ holder }) => /^[Tt]$/.test(holder.processState));
    // A worker that runs may still accept.
    if (stopped.length === 0 || stopped.length < found.conditions.length) return null;
    const { endpoint, uid, waiting, port } = found;
    const traced = stopped.some(({ holder }) => holder.processState === 't');
    return { endpoint, uid, waiting, port, traced, holders: peopleOf(stopped) };
  },
  say: ({ endpoint, uid, waiting, traced, holders }) =>
    `${processOf(holders, uid)} listens on ${endpoint} and is ${traced ? 'held by a debugger' : 'suspended'}${waitingWords(waiting)}`,
  remedies({ holders, port }, { advice }) {
    const pids = holders.map(({ pid }) => pid);
    return [
      change('resume-process', 'Let the process run again', advice.process?.resume(pids), { pids }),
      ...stopServer(port),
    ];
  },
  stages: [
    {
      title: 'a Node server was stopped by a signal',
      needs: [],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        await stage.suspend(pid);
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port} and is suspended`,
          holders: [pid],
          asUser: stage.unprivileged().askAs,
        });
      },
      expect: {
        reachable: false,
        errno: 'ETIMEDOUT',
        remedies: ['resume-process', 'stop-process'],
        asUser: { cause: 'not-accepted' },
      },
    },
    {
      title: 'a suspended server, asked with a request',
      needs: [],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        await stage.suspend(pid);
        return stage.reached({
          words: [`http://127.0.0.1:${port}/`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port} and is suspended`,
          holders: [pid],
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT', remedies: ['resume-process', 'stop-process'] },
    },
  ],
});
