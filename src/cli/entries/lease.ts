import type { Command } from '../command.ts';
import { timePage } from '../time.ts';

export const leaseEntry: Command = {
  name: 'lease',
  summary: 'Give a command a port of its own in this worktree, whatever port it asks for',
  page: [
    'Chooses a port that is the same each time for this worktree and this command, holds it from now on, and runs the command on it. The command finds it as PORT; a Node program that asks for a fixed port instead, such as 3000, is served on the leased one, and so is every process that it starts. So the servers of two worktrees run side by side, unchanged.',
    'The first fixed port that the program asks for is the one that is replaced; other ports that tools open (24678 of vite, 9229 of the inspector) keep their numbers. Where the program prints or fetches "localhost:3000", that is not changed: use the URL that rebind prints.',
    'Leased ports are between 17000 and 32767, below the ports that the system assigns automatically. Everything else works as in "rebind hold".',
    timePage,
  ],
  operands: [],
  rest: { name: 'command', summary: 'the program and its arguments', count: 'optional' },
  flags: [
    {
      name: 'key',
      value: { name: 'TEXT' },
      summary: 'Choose the port by this text, not by the worktree and the command',
    },
    {
      name: 'watch',
      short: 'w',
      value: { name: 'PATH' },
      repeatable: true,
      summary: 'Restart when this file, or anything in this directory, changes',
    },
    {
      name: 'grace',
      value: { name: 'TIME' },
      summary: 'How long the old process may take to finish its connections and exit (default: 10s)',
    },
    { name: 'quiet', short: 'q', summary: 'Print nothing but the output of the command' },
  ],
  examples: [
    { command: 'rebind lease -- npm run dev', summary: 'A port of its own for this worktree' },
    { command: 'rebind lease --key shop-e2e -- npm run preview', summary: 'The same port wherever it is run from' },
  ],
  onSignal: 'own',
  effect: 'write',
  fast: false,
  load: () => import('../commands/lease.ts'),
};
