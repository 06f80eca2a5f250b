import type { Command } from '../command.ts';
import { bindFlags, endpointPage, jsonFlag } from '../flags.ts';
import { timePage } from '../time.ts';

export const freeEntry: Command = {
  name: 'free',
  summary: 'Make a port available without harming anything else',
  page: [
    'Does the gentlest thing that works: waits for what is about to expire; asks the service, container or process that uses the port to stop, and waits until it has stopped; removes leftovers that no process owns. It succeeds when the bind that was asked about would succeed, not when a signal was sent.',
    'It never stops clients of the port, this command, any of its parent processes, or pid 1. It stops a process of another user or of another project, a service or a container only when confirmed: on the terminal, or with --yes.',
    'Without an endpoint it lists the ports in use and asks which one to free.',
    timePage,
    ...endpointPage,
  ],
  operands: [{ name: 'endpoint', summary: 'endpoints, such as 3000', count: 'any', values: 'endpoints' }],
  flags: [
    { name: 'dry-run', short: 'n', summary: 'Print the steps and take none' },
    { name: 'yes', short: 'y', summary: 'Also take steps that need confirmation' },
    { name: 'grace', value: { name: 'TIME' }, summary: 'How long a process may take to exit (default: 10s)' },
    {
      name: 'timeout',
      value: { name: 'TIME' },
      summary: 'How long to wait for what only time removes, such as TIME_WAIT (default: 1s)',
    },
    {
      name: 'force',
      summary: 'Kill processes that do not exit in time, and close connections of clients that took the port',
    },
    ...bindFlags,
    jsonFlag,
  ],
  examples: [
    { command: 'rebind free 3000', summary: 'Free port 3000 for a Node server' },
    { command: 'rebind free 3000 --dry-run', summary: 'Show the steps' },
    { command: 'rebind free 3000 5432 --yes', summary: 'Two ports, even of services and containers' },
    { command: 'rebind free 8080 --timeout 60s', summary: 'Wait for leftover connections if necessary' },
  ],
  onSignal: 'abort',
  effect: 'destructive',
  fast: true,
  load: () => import('../commands/free.ts'),
};
