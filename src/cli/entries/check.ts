import type { Command } from '../command.ts';
import { jsonFlag } from '../flags.ts';

export const checkEntry: Command = {
  name: 'check',
  summary: 'Check whether servers started from these files will listen, drain and stop correctly',
  page: [
    'Reads a Dockerfile, a Compose file, Kubernetes manifests, the configuration of nginx or HAProxy, or a package.json, and names what loses requests or leaves a port blocked at the next restart: a shell or npm as the first process of a container, a grace period that is too short, a pool that nginx takes out, a server on 127.0.0.1 behind a published port. Each finding has the line, the reason with what was measured, and the line as it should be.',
    'It only reads text: nothing is run, no other program is asked, and nothing leaves this machine. A directory stands for the files of these kinds in it. Several files are also checked against each other.',
    'A fault will happen as described; a note depends on something that the files do not show. The exit status is 1 when there is a fault, and 3 when a file could not be parsed.',
  ],
  operands: [{ name: 'file', summary: 'a file, or a directory with such files', count: 'some' }],
  flags: [jsonFlag],
  examples: [
    { command: 'rebind check .', summary: 'What is in this directory' },
    { command: 'rebind check Dockerfile haproxy.cfg', summary: 'Both, and whether they fit each other' },
    {
      command: 'helm template shop | tee shop.yaml && rebind check shop.yaml',
      summary: 'A chart, with its values filled in',
    },
  ],
  effect: 'read',
  fast: false,
  load: () => import('../commands/check.ts'),
};
