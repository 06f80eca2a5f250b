import type { Command } from '../command.ts';

export const demoEntry: Command = {
  name: 'demo',
  summary: 'Bring a cause about for real, explain it, and clean up',
  page: [
    'Without a name it lists the causes. With one it starts processes of its own that bring the cause about, in a network namespace of their own where this machine allows it, shows the page of the cause and what "rebind why" answers, and ends what it started. Nothing else is touched.',
  ],
  operands: [{ name: 'cause', summary: 'the name of a cause', count: 'optional', values: 'causes' }],
  flags: [],
  examples: [
    { command: 'rebind demo', summary: 'List the causes' },
    { command: 'rebind demo time-wait', summary: 'See a port that a closed connection still blocks' },
  ],
  onSignal: 'abort',
  effect: 'write',
  fast: false,
  load: () => import('../commands/demo.ts'),
};
