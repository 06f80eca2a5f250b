import { managedName } from '../../model/manager-words.ts';
import { type ManagerKind, managers } from '../../model/managers.ts';
import type { Question } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { listenersOf } from '../shared/listeners.ts';
import { stopHolders } from '../shared/stopping.ts';
import { agree, asked, capital, list, localOf, places, processes, who } from '../shared/words.ts';

/** A container that has the port, as its engine says; or as it looks, where the engine was not asked or knows of none. */
export interface PortContainer {
  readonly engine: ManagerKind;
  /** Null when it is not known. */
  readonly name: string | null;
  readonly paused: boolean;
  readonly confirmed: boolean;
  /** True when the engine, or a forwarder of it, holds the port of the machine; false when a process in the container itself does. */
  readonly publishes: boolean;
  /** Why the engine did not confirm it, or null. */
  readonly why: string | null;
}

/** A published port, or a server inside a container that shares the network of the machine. */
export default cause({
  id: 'container-port',
  title: 'A container has published this port',
  on: ['linux', 'darwin'],
  page: {
    see: '`EADDRINUSE`, and the port is held by `docker-proxy`, `dockerd`, `conmon`, `rootlessport` or a process that you did not start. Killing that process does not help: the port is taken again, or connections still go to the container.',
    why: 'When a container publishes a port (`-p 3000:80`), its engine keeps a socket on the port of the machine, so that no other program takes it. The traffic itself is often passed on by the firewall, before any program on the machine sees it. So if you stop the process that has the socket, the container stays up and reachable, and the next server on the port gets no connections.',
    now: 'Stop the container: `docker stop NAME` or `podman stop NAME`; `rebind why` shows the command with its name where it is known. `docker ps` and `podman ps` show the published ports of all.',
    prevent:
      'Publish on another port of the machine, `-p 8080:80`. Containers with a restart policy come back when the engine starts: remove the container, or its policy, if you want the port for good.',
  },
  recognise(question) {
    const sockets = listenersOf(question, 'container');
    if (sockets.length === 0) return null;
    const holders = holdersOf(sockets, question);
    return {
      endpoint: asked(question),
      port: sockets[0]?.local.port ?? 0,
      at: [...new Set(sockets.map(localOf))],
      containers: containersOf(question),
      holders: holders.map(who),
    };
  },
  say({ endpoint, at, containers, holders }) {
    const where = places(at, endpoint);
    const named = list(containers.map(inWords));
    const [first] = containers;
    const confirmed = containers.every((container) => container.confirmed);
    const why = first?.why == null ? '' : `; ${first.why}`;
    if (first?.publishes === false) {
      const seems = confirmed ? '' : 'what seems to be ';
      return `${processes(holders, 0)} ${agree(holders.length, 'listens', 'listen')} on ${where} in ${seems}${named}, which uses the network of this machine${why}`;
    }
    const keeps = `${processes(holders, 0)} ${agree(holders.length, 'holds', 'hold')} the port for it`;
    return `${capital(where)} ${where.includes(' and ') ? (confirmed ? 'are' : 'seem to be') : confirmed ? 'is' : 'seems to be'} published by ${named}; ${keeps}${why}`;
  },
  remedies: (_args, question) => stopHolders(listenersOf(question, 'container'), question),
  stages: [
    {
      title: 'podman runs a container with a published port',
      needs: ['podman', 'namespace'],
      async stage(stage) {
        const port = stage.freePort();
        const { name, pid } = await stage.container(port);
        return stage.staged({
          request: stage.tcp('127.0.0.1', port),
          description: `the podman container ${name} has published its port 80 as 127.0.0.1:${port}`,
          holders: [pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-container'] },
    },
  ],
});

function containersOf(question: Question): PortContainer[] {
  const found = new Map<string, PortContainer>();
  for (const { pid } of holdersOf(listenersOf(question, 'container'), question)) {
    const manager = question.managers.get(pid);
    if (manager === undefined) continue;
    const { kind, paused, confirmed, part, unconfirmed } = manager;
    const name = managedName(manager);
    found.set(`${kind} ${name}`, { engine: kind, name, paused, confirmed, publishes: part !== null, why: unconfirmed });
  }
  return [...found.values()];
}

function inWords({ engine, name, paused }: PortContainer): string {
  const kind = engine === 'container' ? 'container' : `${managers[engine].called} container`;
  return name === null
    ? `${/^[aeiou]/i.test(kind) ? 'an' : 'a'} ${kind}`
    : `the ${kind} ${name}${paused ? ', which is paused' : ''}`;
}
