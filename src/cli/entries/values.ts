import type { Command } from '../command.ts';

/** The completion scripts ask it for what only this machine knows. */
export const valuesEntry: Command = {
  name: '__values',
  summary: 'Print the values that a completion can offer',
  page: [],
  hidden: true,
  operands: [{ name: 'kind', summary: 'endpoints or topics', values: ['endpoints', 'causes', 'topics'] }],
  flags: [],
  examples: [],
  effect: 'read',
  fast: false,
  load: () => import('../commands/values.ts'),
};
