import type { Command } from '../command.ts';

export const helpEntry: Command = {
  name: 'help',
  summary: 'Show how a command is used, or the page of a cause',
  page: [
    'Without a word it lists the commands. The name of a cause, as an answer of "rebind why" ends with, shows its page.',
  ],
  operands: [{ name: 'topic', summary: 'the name of a command or of a cause', count: 'optional', values: 'topics' }],
  flags: [],
  examples: [
    { command: 'rebind help', summary: 'List the commands' },
    { command: 'rebind help time-wait', summary: 'What a port in TIME_WAIT is, and how to prevent it' },
  ],
  effect: 'read',
  fast: false,
  load: () => import('../commands/help.ts'),
};
