import { agree, list, named, processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { absentFrom, listenEverywhere } from './shared/absent.ts';
import { alone } from './shared/hosts.ts';
import { change } from './shared/look.ts';
import { isLoopback } from './shared/take.ts';

/** It listens for this machine alone. */
export default addressCause({
  id: 'loopback-only',
  title: 'The server listens for this machine alone',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED` from every other machine, phone, virtual machine and container, and for the address of the network card on this machine as well. `localhost` works.',
    why: 'The server listens on `127.0.0.1` or `::1`. Only connections from this machine to those addresses arrive there. Many development servers do so by default: Vite, Flask, Rails, `next dev -H localhost`.',
    now: 'Start the server with the host `0.0.0.0` or `::`: `vite --host`, `flask run --host 0.0.0.0`, `rails server -b 0.0.0.0`, `server.listen(3000)` without a host.',
    prevent:
      'Say in the configuration which address the server has. In a container it must be `0.0.0.0`: published ports arrive at the address of the container, and never at its loopback.',
  },
  recognise(question) {
    const absent = absentFrom(question);
    if (absent === null || isLoopback(absent.address)) return null;
    if (!absent.listeners.every(({ local }) => isLoopback(local.address))) return null;
    const { endpoint, at, uid, holders, port } = absent;
    return { endpoint, at, uid, holders, port };
  },
  say: ({ endpoint, at, uid, holders }) =>
    `${processes(holders, uid)} ${agree(named(holders), 'listens', 'listen')} on ${list(at)} alone, so nothing takes connections to ${endpoint}`,
  remedies: ({ port, at }) => [
    change('use-address', `On this machine, let the client connect to ${at[0] ?? `localhost:${port}`}`, null, {
      addresses: at,
    }),
    listenEverywhere(
      '::',
      `Let the server listen on [::]:${port} or 0.0.0.0:${port}, if other machines are to reach it`,
    ),
  ],
  stages: [
    {
      title: 'a Node server listens on 127.0.0.1, and the address of a network card is asked',
      needs: ['network'],
      stage: (stage) =>
        alone(
          stage,
          'a Node server listens on 127.0.0.1:PORT, and the machine has the address 10.9.9.1',
          async (host, port) => {
            await host.shell(
              'ip link add stage0 type veth peer name stage1',
              'ip link set stage1 up',
              'ip addr add 10.9.9.1/24 dev stage0',
              'ip link set stage0 up',
            );
            return host.nodeServer({ port, host: '127.0.0.1' });
          },
          { host: '10.9.9.1' },
        ),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['use-address', 'listen-address'] },
    },
  ],
});
