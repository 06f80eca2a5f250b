import type { Command } from '../command.ts';
import { jsonFlag } from '../flags.ts';

export const lsEntry: Command = {
  name: 'ls',
  summary: 'List every listening or bound port and who holds it',
  page: [
    'Lists TCP and UDP sockets that listen or are bound, also those that are bound and do not listen, which most tools leave out. A holder that this user may not see is shown as not visible, never as absent.',
  ],
  operands: [],
  flags: [jsonFlag],
  examples: [
    { command: 'rebind ls', summary: 'Every port, sorted' },
    { command: 'sudo rebind ls', summary: 'With the processes of all users' },
  ],
  effect: 'read',
  fast: true,
  load: () => import('../commands/ls.ts'),
};
