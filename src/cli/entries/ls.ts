import type { Command } from '../command.ts';
import { jsonFlag } from '../flags.ts';

export const lsEntry: Command = {
  name: 'ls',
  summary: 'List ports in use, and the processes that use them',
  page: [
    'Lists TCP and UDP sockets that listen or are bound, including sockets that are bound and do not listen, which most tools leave out. A process that you may not see is shown as not visible, never as absent.',
    'A filter is a port, a range such as 3000-3010, a pid, or a part of a name: of a program, a command line, a project, a manager, a user or a socket path. With several filters, sockets that match any of them are shown.',
    'With --watch the list is redrawn in place every second: new rows are marked with + and rows that are gone with -. Keys: up and down select a row, w explains it, f frees it, / filters, q quits. With --json it prints a document a line for every socket that appears or goes away.',
  ],
  operands: [{ name: 'filter', summary: 'a port, a range or a part of a name', count: 'any', values: 'endpoints' }],
  flags: [
    { name: 'tcp', summary: 'TCP sockets' },
    { name: 'udp', summary: 'UDP sockets' },
    { name: 'unix', summary: 'Unix sockets; without --tcp, --udp and --unix: TCP and UDP' },
    { name: 'mine', summary: 'Only processes in this project, or started from the same shell' },
    { name: 'watch', short: 'w', summary: 'Keep the list up to date until q or Ctrl-C' },
    jsonFlag,
  ],
  examples: [
    { command: 'rebind ls', summary: 'Every port in use, sorted' },
    { command: 'rebind ls 3000-3999 node', summary: 'Ports 3000 to 3999, and whatever Node runs' },
    { command: 'rebind ls --mine', summary: 'What this project runs' },
    { command: 'rebind ls --watch', summary: 'Watch ports come and go' },
    { command: 'sudo rebind ls', summary: 'With the processes of all users' },
  ],
  onSignal: 'abort',
  effect: 'read',
  fast: true,
  load: () => import('../commands/ls.ts'),
};
