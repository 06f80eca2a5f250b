import type { Command } from '../command.ts';
import { bindFlags, endpointPage, jsonFlag } from '../flags.ts';
import { timePage } from '../time.ts';

export const waitEntry: Command = {
  name: 'wait',
  summary: 'Wait until an endpoint can be bound, or until somebody listens on it',
  page: [
    'Sleeps until the kernel tells that a socket or a process has ended, or until the time of a leftover is over. It never connects to the port, so it can never answer itself.',
    'With --for open, a port alone is open as soon as somebody listens on it on any address of this machine, and the answer says on which. To be sure that clients of one address get through, ask about that one, such as 127.0.0.1:3000.',
    timePage,
    ...endpointPage,
  ],
  operands: [{ name: 'endpoint', summary: 'an endpoint, such as 3000', values: 'endpoints' }],
  flags: [
    {
      name: 'for',
      value: { name: 'STATE', values: ['free', 'open'] },
      summary: 'free (the default): it can be bound; open: somebody listens',
    },
    {
      name: 'pid',
      value: { name: 'PID' },
      summary: 'With --for open: the listener must be this process or one that it started',
    },
    {
      name: 'timeout',
      value: { name: 'TIME' },
      summary: 'Give up after this time, with exit status 1; never unless given',
    },
    ...bindFlags,
    jsonFlag,
  ],
  examples: [
    { command: 'rebind wait 3000 && node server.js', summary: 'Start as soon as the port is free' },
    { command: 'rebind wait 3000 --for open --timeout 30s', summary: 'Until a server is ready' },
    {
      command: 'rebind wait 3000 --for open --pid $!',
      summary: 'Until the server that was just started is ready, and no other',
    },
  ],
  onSignal: 'abort',
  effect: 'read',
  fast: true,
  load: () => import('../commands/wait.ts'),
};
