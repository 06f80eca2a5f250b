import type { Command } from '../command.ts';
import { jsonFlag } from '../flags.ts';
import { timePage } from '../time.ts';

export const reachEntry: Command = {
  name: 'reach',
  summary: 'Say whether a client can connect, and if not: why, where it fails, and what to do',
  page: [
    'Follows the path of a connection: the name, the route, the firewall, the listener, its queue, its process, and the answer. First it looks at everything that can be seen without sending a packet. Then it connects once to each address and closes at once, never into a full queue. After silence it tries once more, and finds the last router that answers.',
    'A target is 3000 for a port of localhost, a host and a port such as db.internal:5432, a URL such as http://localhost:5173/, udp/10.0.0.2:53, or a Unix socket such as ./app.sock. For a URL of http, https, ws or wss one request is sent; for other targets only with --request.',
    'The server sees the connection: nc -l, for example, exits after it. --no-connect sends nothing and connects nowhere. Nothing is ever sent to a host other than the target and the name server.',
    'Run on the machine of the server, it says what clients would meet there. --pid and --container look from inside the network namespace of a process or container, which needs root; names are still resolved as on this machine.',
    timePage,
  ],
  operands: [{ name: 'target', summary: 'what a client connects to, such as 3000', values: 'endpoints' }],
  flags: [
    { name: 'request', summary: 'Send one request, a GET or the first message of TLS, and wait for the answer' },
    { name: 'connect', negatable: true, summary: 'Connect to each address (default: yes)' },
    {
      name: 'timeout',
      value: { name: 'TIME' },
      summary:
        'Time for the whole answer, also of a slow server (default: 15s, of which a request waits 1s, or 3s for another host)',
    },
    { name: 'container', value: { name: 'NAME' }, summary: 'Look from inside this docker or podman container' },
    { name: 'pid', value: { name: 'PID' }, summary: 'Look from inside the network namespace of this process' },
    jsonFlag,
  ],
  examples: [
    { command: 'rebind reach 3000', summary: 'Why does my client not get through to localhost:3000?' },
    { command: 'rebind reach http://localhost:5173/', summary: 'With one request' },
    { command: 'rebind reach db.internal:5432 --json', summary: 'JSON for programs' },
    { command: 'rebind reach 10.0.0.5:3000 --no-connect', summary: 'Only what can be seen without connecting' },
  ],
  onSignal: 'abort',
  effect: 'read',
  fast: false,
  load: () => import('../commands/reach.ts'),
};
