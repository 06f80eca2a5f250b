import type { Command } from '../command.ts';

export const demoEntry: Command = {
  name: 'demo',
  summary: 'Stage a cause for real, explain it, and clean up',
  page: [
    'Without a name it lists the causes. With a name it starts processes of its own that produce the cause, in a private network namespace where this machine allows it, shows the page of the cause and the answer of "rebind why", and stops what it started. Nothing else is touched.',
    'With --keep the situation stays until you press a key, to practise on. Where it is in a private network namespace, a shell in that namespace is opened; leave the shell to end the demo.',
  ],
  operands: [{ name: 'cause', summary: 'the name of a cause', count: 'optional', values: 'causes' }],
  flags: [{ name: 'keep', summary: 'Leave the situation until a key is pressed' }],
  examples: [
    { command: 'rebind demo', summary: 'List the causes' },
    { command: 'rebind demo time-wait', summary: 'See a port that a closed connection still blocks' },
    { command: 'rebind demo other-listener --keep', summary: 'Practise on it' },
  ],
  onSignal: 'abort',
  effect: 'write',
  fast: false,
  load: () => import('../commands/demo.ts'),
};
