import { formatAddress, isLoopback, isWildcard } from '../../model/address.ts';
import type { ElsewhereListener } from '../../model/reach/evidence.ts';
import { addressCause } from './form.ts';
import { refusedHere } from './shared/here.ts';
import { change } from './shared/look.ts';
import { placeOf } from './shared/untaken.ts';

/** The server listens where this network ends: in a container, or a unit with a network of its own. */
export default addressCause({
  id: 'other-namespace',
  title: 'The server listens in a container, or in another network namespace',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED`, at once, although the server runs: it says so itself, and `ps` shows it. `ss` and `lsof` on this machine show no listener.',
    why: 'The process has a network of its own: a container whose port is not published, a systemd unit with `PrivateNetwork=`, `ip netns exec`, a VPN for one program. Its port 3000 is another one than that of this machine.',
    now: 'Publish the port (`docker run -p 3000:3000`, `ports:` in compose), or connect to the address of the container. `rebind reach 3000 --container NAME` looks from inside.',
    prevent: 'Publish every port that is used from outside, and let the server in the container listen on `0.0.0.0`.',
  },
  recognise(question) {
    const here = refusedHere(question);
    if (here === null || here.sockets.length > 0) return null;
    const [first] = here.elsewhere;
    if (first === undefined) return null;
    const { container, unit, command, pid } = first.process;
    return {
      endpoint: placeOf(here.evidence),
      port: here.endpoint.port,
      pid,
      command,
      container:
        container === null ? null : { runtime: container.runtime, name: container.name ?? container.id.slice(0, 12) },
      unit,
      at: formatAddress(first.local.address, first.local.port),
      addresses: addressesOf(first),
      onLoopback: isLoopback(first.local.address),
    };
  },
  say: ({ endpoint, at, pid, command, container }) =>
    `Nothing listens on ${endpoint}, but ${container === null ? `in the network namespace of ${command} (pid ${pid})` : `in the container ${container.name}`} a program listens on ${at}`,
  remedies({ port, pid, container, addresses, onLoopback }) {
    const [address] = addresses;
    return [
      ...(address === undefined
        ? []
        : [
            change('use-address', `Let the client connect to ${formatAddress(address, port)}`, null, {
              addresses: [formatAddress(address, port)],
            }),
          ]),
      change(
        'listen-address',
        container === null
          ? 'Start the server in the network of this machine'
          : `Publish the port of the container ${container.name}${onLoopback ? ', and let the server in it listen on 0.0.0.0 or [::]' : ''}`,
        null,
        { port },
      ),
      change(
        'investigate',
        'Look from inside',
        `rebind reach ${port} ${container === null ? `--pid ${pid}` : `--container ${container.name}`}`,
      ),
    ];
  },
  stages: [
    {
      title: 'a Node server listens in another network namespace',
      needs: ['network'],
      async stage(stage) {
        const { client, server } = await stage.network();
        const { pid, port } = await server.nodeServer({ port: stage.freePort(), host: '0.0.0.0' });
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a Node server (pid ${pid}) listens on port ${port} in another network namespace`,
          from: client.enter,
        });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED', also: [] },
    },
    {
      title: 'a Node server listens on the loopback of another network namespace',
      needs: ['network'],
      async stage(stage) {
        const { client, server } = await stage.network();
        const { pid, port } = await server.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port} of another network namespace`,
          from: client.enter,
        });
      },
      expect: {
        reachable: false,
        errno: 'ECONNREFUSED',
        also: [],
        remedies: ['listen-address', 'investigate'],
      },
    },
  ],
});

/** Where a client outside of the namespace finds the listener: nowhere if it is on loopback. */
function addressesOf({ local, addresses }: ElsewhereListener): string[] {
  return addresses.filter((address) => isWildcard(local.address) || address === local.address);
}
