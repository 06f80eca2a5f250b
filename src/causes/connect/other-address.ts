import { agree, list, named, processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { absentFrom, askThere, listenEverywhere } from './shared/absent.ts';
import { alone } from './shared/hosts.ts';

/** It listens, on another address of this machine. */
export default addressCause({
  id: 'other-address',
  title: 'The server listens on another address of this machine',
  on: ['linux'],
  at: 'listener',
  alone: true,
  page: {
    see: '`ECONNREFUSED`, at once, although `ss -tln` shows a listener on the port.',
    why: 'A listener on one address takes connections to that address alone. A server that was given the address of the network card does not answer on `127.0.0.1`, and one on `127.0.0.1` not on `127.0.0.2`.',
    now: 'Connect to the address that the answer names, or let the server listen on `::`.',
    prevent: 'Listen without a host, or with the same name that clients use.',
  },
  recognise(question) {
    const absent = absentFrom(question);
    if (absent === null) return null;
    const { endpoint, at, uid, holders, port } = absent;
    return { endpoint, at, uid, holders, port };
  },
  say: ({ endpoint, at, uid, holders }) =>
    `${processes(holders, uid)} ${agree(named(holders), 'listens', 'listen')} on ${list(at)}, and nothing takes connections to ${endpoint}`,
  remedies: ({ at, port }) => [
    askThere(at),
    listenEverywhere('::', `Let the server listen on [::]:${port}, which takes connections to every address`),
  ],
  stages: [
    {
      title: 'a Node server listens on 127.0.0.1, and 127.0.0.2 is asked',
      needs: [],
      async stage(stage) {
        const { pid, port } = await stage.nodeServer({ port: stage.freePort(), host: '127.0.0.1' });
        return stage.reached({
          words: [`127.0.0.2:${port}`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port}`,
          holders: [pid],
        });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['use-address', 'listen-address'] },
    },
    {
      title: 'a Node server listens on the address of a network card, and 127.0.0.1 is asked',
      needs: ['network'],
      stage: (stage) =>
        alone(stage, 'a Node server listens on 10.9.9.1:PORT', async (host, port) => {
          await host.shell(
            'ip link add stage0 type veth peer name stage1',
            'ip link set stage1 up',
            'ip addr add 10.9.9.1/24 dev stage0',
            'ip link set stage0 up',
          );
          return host.nodeServer({ port, host: '10.9.9.1' });
        }),
      expect: { reachable: false, errno: 'ECONNREFUSED' },
    },
  ],
});
