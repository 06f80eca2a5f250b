import { formatEndpoint } from '../../model/endpoint.ts';
import { cause } from '../cause.ts';
import { useAddress } from '../shared/remedies.ts';
import { listening } from '../shared/scenes.ts';
import { capital, inWords } from '../shared/words.ts';

const usualFirst = 1024;

/** EACCES on a low port. It is asked before anything else about the port, so it hides that the port may be taken as well. */
export default cause({
  id: 'privileged-port',
  title: 'Ports below 1024 need a privilege',
  on: ['linux', 'darwin'],
  page: {
    see: '`listen EACCES: permission denied 0.0.0.0:80`. (Node tries `::` first and then `0.0.0.0`, so its message names an address that you did not ask for.)',
    why: 'On Linux, ports below `net.ipv4.ip_unprivileged_port_start`, 1024 by default, may only be bound with the capability `CAP_NET_BIND_SERVICE`, which root has. The kernel looks at this before it looks at whether the port is free: behind `EACCES` there may be a second problem, and rebind tells you of it. macOS since 10.14 asks for root only where one definite address is bound, such as `127.0.0.1:80`; `0.0.0.0:80` and `[::]:80` are open to everybody.',
    now: 'Let the server listen on a port such as 8080. Or lower the limit for every program on this machine: `sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80`. In a systemd unit: `AmbientCapabilities=CAP_NET_BIND_SERVICE`.',
    prevent:
      'Let a proxy or a socket unit of systemd have the low port, and the server a high one. Do not run the server as root for this, and do not give the capability to the `node` program itself (`setcap`): every script would have it.',
  },
  recognise({ errno, request, facts }) {
    const { endpoint } = request;
    if (errno !== 'EACCES' || endpoint.protocol === 'unix') return null;
    const first = facts.settings.firstUnprivilegedPort ?? usualFirst;
    if (endpoint.port >= first) return null;
    return {
      /** macOS asks for root only on one definite address. */
      needs: facts.platform === 'darwin' ? 'root' : 'CAP_NET_BIND_SERVICE',
      endpoint: formatEndpoint(endpoint),
      port: endpoint.port,
      first,
      user: facts.asker.user,
      isRoot: facts.asker.uid === 0,
    };
  },
  say: ({ endpoint, first, user, isRoot, needs }) =>
    needs === 'root'
      ? `${capital(inWords(endpoint))} needs root: below port ${first}, macOS lets every user bind 0.0.0.0 and ::, and only root a definite address`
      : `${capital(inWords(endpoint))} needs a privilege that ${isRoot ? 'even root does not have here' : `user ${user} does not have`}: ports below ${first} need CAP_NET_BIND_SERVICE`,
  remedies: ({ port, first, needs }, question) => [
    ...(needs === 'root'
      ? useAddress(question, '::', 'Listen on ::, which needs no privilege on macOS; other machines reach it, too')
      : []),
    {
      remedy: 'use-port',
      sentence: `Listen on a port from ${first} on, such as ${port + 8000}`,
      command: null,
      automatic: false,
      args: { port: port + 8000 },
    },
    ...(needs === 'root'
      ? []
      : [
          {
            remedy: 'grant-privilege' as const,
            sentence: `Let every program on this machine use ports from ${port} until reboot`,
            command: question.advice.unprivilegedFrom(port),
            automatic: false,
            args: { port },
          },
        ]),
  ],
  stages: [
    {
      title: 'an ordinary user wants port 80',
      needs: ['namespace', 'unprivileged'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('0.0.0.0', 80),
          description: 'port 80 is free, and an ordinary user asks for it',
          ...stage.unprivileged(),
        });
      },
      expect: { bindable: false, errno: 'EACCES', also: [], remedies: ['grant-privilege', 'use-port'] },
    },
    {
      title: 'an ordinary user wants port 80, and it is taken as well',
      needs: ['namespace', 'unprivileged'],
      async stage(stage) {
        const { server } = await listening(stage, '127.0.0.1', { reuseAddress: true, port: 80 });
        return stage.staged({
          request: stage.tcp('127.0.0.1', 80),
          description: `a server (pid ${server.pid}) listens on 127.0.0.1:80, and an ordinary user asks for it`,
          ...stage.unprivileged(),
        });
      },
      expect: { bindable: false, errno: 'EACCES', also: ['other-listener'], remedies: ['grant-privilege', 'use-port'] },
    },
    {
      title: 'an ordinary user wants port 80 on an IPv6 address that is not here: the privilege is asked for first',
      needs: ['namespace', 'unprivileged', 'ipv6'],
      async stage(stage) {
        return stage.staged({
          request: stage.tcp('2001:db8::1', 80),
          description: 'an ordinary user asks for port 80 on 2001:db8::1, which this machine does not have',
          ...stage.unprivileged(),
        });
      },
      expect: { bindable: false, errno: 'EACCES', remedies: ['grant-privilege', 'use-port'] },
    },
  ],
});
