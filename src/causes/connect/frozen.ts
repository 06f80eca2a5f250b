import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { peopleOf, processOf, stopServer, untaken, waitingWords } from './shared/untaken.ts';

/** Stopped by its cgroup: `ps` shows it as sleeping. */
export default addressCause({
  id: 'frozen',
  title: 'The server is paused with its container or unit',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'The connect succeeds and nothing is answered. `ps` shows a sleeping process, as if it waited for work.',
    why: 'The cgroup of the process is frozen: `docker pause`, `podman pause`, `systemctl freeze`, or a checkpoint that was not finished. No process in it runs until it is thawed, and the kernel completes connections all the same. `ps` shows the state S; only `cgroup.events` of the cgroup says `frozen 1`.',
    now: '`docker unpause NAME`, `podman unpause NAME`, or `systemctl thaw UNIT`.',
    prevent:
      'Stop containers that should not answer instead of pausing them: a port of a stopped container refuses at once.',
  },
  recognise(question) {
    const found = untaken(question);
    const frozen = found?.conditions.filter(({ frozen }) => frozen === true) ?? [];
    if (found === null || frozen.length === 0 || frozen.length < found.conditions.length) return null;
    const [first] = frozen;
    const container = first?.holder.container ?? null;
    return {
      endpoint: found.endpoint,
      uid: found.uid,
      waiting: found.waiting,
      port: found.port,
      holders: peopleOf(frozen),
      container:
        container === null ? null : { runtime: container.runtime, name: container.name ?? container.id.slice(0, 12) },
      unit: first?.holder.unit ?? null,
    };
  },
  say: ({ endpoint, uid, waiting, holders, container }) =>
    `${processOf(holders, uid)} listens on ${endpoint} and is paused${container === null ? ' with its cgroup' : ` with its container ${container.name}`}${waitingWords(waiting)}`,
  remedies({ container, unit, port }, { advice }) {
    const engine = container === null || !/^(docker|podman)$/.test(container.runtime) ? null : container;
    const command =
      engine !== null
        ? `${engine.runtime} unpause ${engine.name}`
        : unit === null
          ? null
          : (advice.process?.thaw(unit) ?? null);
    return [
      change('resume-process', 'Let its processes run again', command, { container: container?.name ?? null, unit }),
      ...stopServer(port),
    ];
  },
  stages: [
    {
      title: 'the cgroup of a Node server is frozen',
      needs: ['cgroup'],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        await stage.freeze(pid);
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port}, and its cgroup is frozen`,
          holders: [pid],
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT' },
    },
  ],
});
