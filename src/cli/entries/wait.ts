import type { Command } from '../command.ts';
import { bindFlags, endpointPage, jsonFlag } from '../flags.ts';
import { timePage } from '../time.ts';

export const waitEntry: Command = {
  name: 'wait',
  summary: 'Wait until a port is available, or until a program listens on it',
  page: [
    'Sleeps until the kernel reports that a socket was closed or a process exited, or until a leftover connection expires. It never connects to the port, so it never answers itself.',
    'With several endpoints it waits for all of them, or with --any for the first one.',
    'With --for open, a bare port is open as soon as a program listens on it on any address of this machine, and the answer says on which. A server that is suspended, or was seen not to accept, is not open. After a timeout the answer says what stops a client, as rebind reach does. To be sure that clients of one address get through, ask about that address, such as 127.0.0.1:3000.',
    timePage,
    ...endpointPage,
  ],
  operands: [{ name: 'endpoint', summary: 'an endpoint, such as 3000', count: 'some', values: 'endpoints' }],
  flags: [
    {
      name: 'for',
      value: { name: 'STATE', values: ['free', 'open'] },
      summary: 'free (the default): it is available; open: a program listens',
    },
    { name: 'any', summary: 'Wait for the first of several endpoints instead of all' },
    {
      name: 'pid',
      value: { name: 'PID' },
      summary: 'With --for open: the listener must be this process or one that it started',
    },
    {
      name: 'timeout',
      value: { name: 'TIME' },
      summary: 'Give up after this time, with exit status 1 (default: never)',
    },
    ...bindFlags,
    jsonFlag,
  ],
  examples: [
    { command: 'rebind wait 3000 && node server.js', summary: 'Start as soon as the port is available' },
    { command: 'rebind wait 5432 6379 --for open --timeout 30s', summary: 'Until both servers are ready' },
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
