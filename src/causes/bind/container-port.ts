import type { Holder } from '../../model/facts.ts';
import type { Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { isPortHolder, listenersOf } from '../shared/listeners.ts';
import { shellWord } from '../shared/remedies.ts';
import { agree, asked, list, localOf, processes, who } from '../shared/words.ts';

/** A container as it can be told from outside: by the cgroup of a process in it, or by who holds its port. */
export interface Publisher {
  readonly runtime: string;
  /** What its own command takes: the name, else the short id, else null. */
  readonly name: string | null;
  /** Whether it is root's, and not the asker's. */
  readonly needsRoot: boolean;
}

const shortId = 12;

/** A published port, or a server inside a container that shares the network of the machine. */
export default cause({
  id: 'container-port',
  title: 'A container has published this port',
  on: ['linux'],
  page: {
    see: '`EADDRINUSE`, and the port is held by `docker-proxy`, `conmon`, `rootlessport` or a process that you did not start. Killing that process does not help: the port is taken again, or its connections still go to the container.',
    why: 'When a container publishes a port (`-p 3000:80`), its engine keeps a socket on the port of the machine, so that nobody else takes it. The traffic itself is often passed on by the firewall, before any program on the machine sees it. So ending the process that has the socket leaves the container running and reachable, and the next server on the port gets no connections.',
    now: 'Stop the container: `docker stop NAME` or `podman stop NAME`; `rebind why` shows the command with its name where it can be known. `docker ps` and `podman ps` show the published ports of all.',
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
      containers: publishers(holders, question.facts.asker.uid),
      holders: holders.map(who),
    };
  },
  say({ at, containers, holders }) {
    const named = containers.map(({ runtime, name }) =>
      name === null ? `a ${runtime} container` : `the ${runtime} container ${name}`,
    );
    return `${list(at)} is published by ${list(named)}; ${processes(holders, 0)} ${agree(holders.length, 'keeps', 'keep')} the port for it`;
  },
  remedies: ({ containers, port }) => containers.map((container) => stopContainer(container, port)),
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

function publishers(holders: readonly Holder[], uid: number): Publisher[] {
  const found = new Map<string, Publisher>();
  for (const holder of holders) {
    const publisher = { ...publisherOf(holder), needsRoot: holder.uid !== uid && uid !== 0 };
    found.set(`${publisher.runtime} ${publisher.name}`, publisher);
  }
  return [...found.values()];
}

function publisherOf(holder: Holder): Omit<Publisher, 'needsRoot'> {
  const { container, command, argv } = holder;
  // conmon(8) is started with the container's id after -c and its name after -n.
  if (command === 'conmon')
    return { runtime: 'podman', name: after(argv, '-n') ?? after(argv, '-c')?.slice(0, shortId) ?? null };
  if (isPortHolder(holder) && container === null)
    return { runtime: command === 'docker-proxy' ? 'docker' : 'rootless', name: null };
  const runtime = container?.runtime ?? 'unknown';
  return {
    runtime,
    name: container?.name ?? container?.id.slice(0, shortId) ?? null,
  };
}

function after(argv: readonly string[], option: string): string | null {
  const index = argv.indexOf(option);
  return index < 0 ? null : (argv[index + 1] ?? null);
}

function stopContainer({ runtime, name, needsRoot }: Publisher, port: number): Remedy {
  return {
    remedy: 'stop-container',
    sentence: name === null ? 'Stop the container that has published the port' : `Stop the container ${name}`,
    command: stopCommand(runtime, name, port, needsRoot),
    // `rebind free` stops it only with --yes.
    automatic: false,
    args: { runtime, name },
  };
}

/** Null where the engine, and so its command, cannot be known. */
function stopCommand(runtime: string, name: string | null, port: number, needsRoot: boolean): string | null {
  // docker-proxy is not told which container it works for, but docker knows who has published a port.
  if (runtime === 'docker' && name === null) return `docker stop $(docker ps --quiet --filter publish=${port})`;
  if (name === null) return null;
  switch (runtime) {
    case 'docker':
      return `docker stop ${shellWord(name)}`;
    case 'podman':
      // Every user has containers of their own.
      return `${needsRoot ? 'sudo ' : ''}podman stop ${shellWord(name)}`;
    case 'containerd':
    case 'crio':
    case 'kubernetes':
      return `sudo crictl stop ${shellWord(name)}`;
    case 'lxc':
      return `sudo lxc-stop --name ${shellWord(name)}`;
    default:
      return null;
  }
}
