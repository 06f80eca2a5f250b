import type { Command } from '../command.ts';
import { bindFlags, endpointPage, jsonFlag } from '../flags.ts';
import { timePage } from '../time.ts';

export const freeEntry: Command = {
  name: 'free',
  summary: 'Make endpoints bindable without harming anything else',
  page: [
    'Does the gentlest thing that works: waits for what is about to end, asks the service, container or process that holds the port to stop and waits until it has, removes what nobody owns. It has succeeded when the bind that was asked about would succeed, not when a signal was sent.',
    'Clients of the port are left alone, and so are this command itself, everything that it runs inside of, and process 1. A process of another user or of another project, a service or a container is only stopped after a yes: on the terminal, or with --yes.',
    timePage,
    ...endpointPage,
  ],
  operands: [{ name: 'endpoint', summary: 'endpoints, such as 3000', count: 'some', values: 'endpoints' }],
  flags: [
    { name: 'dry-run', short: 'n', summary: 'Print what would be done, and do nothing' },
    { name: 'yes', short: 'y', summary: 'Also do what is not plainly safe' },
    { name: 'grace', value: { name: 'TIME' }, summary: 'How long a process may take to end; 10s unless given' },
    {
      name: 'timeout',
      value: { name: 'TIME' },
      summary: 'How long to wait for what only time removes, such as TIME_WAIT; not longer than a second unless given',
    },
    {
      name: 'force',
      summary: 'Kill who does not end in time, and cut the connections of clients that took the port',
    },
    ...bindFlags,
    jsonFlag,
  ],
  examples: [
    { command: 'rebind free 3000', summary: 'Free port 3000 for a Node server' },
    { command: 'rebind free 3000 --dry-run', summary: 'See what that would do' },
    { command: 'rebind free 3000 5432 --yes', summary: 'Two ports, also those of services and containers' },
    { command: 'rebind free 8080 --timeout 60s', summary: 'Wait for leftovers of connections, if need be' },
  ],
  onSignal: 'abort',
  effect: 'destructive',
  fast: true,
  load: () => import('../commands/free.ts'),
};
