import type { Command } from '../command.ts';
import { bindFlags, endpointPage, jsonFlag } from '../flags.ts';

export const whyEntry: Command = {
  name: 'why',
  summary: 'Say whether a port is available, and if not: why, which process uses it, and what to do',
  page: [
    'Tries the bind with exactly the options given here, on a socket that is closed at once and never listens. If the bind fails, the answer names the cause, every process behind it, how long it lasts where that is known, and what would help, gentlest first. Nothing is changed.',
    ...endpointPage,
  ],
  operands: [{ name: 'endpoint', summary: 'an endpoint, such as 3000', count: 'some', values: 'endpoints' }],
  flags: [...bindFlags, jsonFlag],
  examples: [
    { command: 'rebind 3000', summary: 'Why can Node not listen on port 3000?' },
    { command: 'rebind 3000-3010', summary: 'Which of these ports are available?' },
    { command: 'rebind why 127.0.0.1:3000 --json', summary: 'JSON for programs' },
    { command: 'rebind why udp/53', summary: 'A UDP port' },
    { command: 'rebind why ./app.sock', summary: 'A Unix socket' },
    { command: 'rebind why 80 --no-reuse-address', summary: 'For a program that does not set SO_REUSEADDR' },
  ],
  effect: 'read',
  fast: true,
  load: () => import('../commands/why.ts'),
};
