import type { Command } from '../command.ts';
import { jsonFlag } from '../flags.ts';

export const checkEntry: Command = {
  name: 'check',
  summary: 'Will what these files start listen, drain and end as it should?',
  page: [
    'Reads a Dockerfile, a Compose file, Kubernetes manifests, the configuration of nginx or HAProxy, or a package.json, and names what loses requests or leaves a port blocked at the next restart: a shell or npm as the first process of a container, a grace period that is too short, a pool that nginx takes out, a server on 127.0.0.1 behind a published port. Each finding has the line, the reason with what was measured, and the line as it should be.',
    'It is pure text: nothing is run, nothing is asked, and nothing leaves this machine. A directory stands for the files of these kinds in it. Several files are also held against each other.',
    'A fault happens as it is said; a note depends on what the files do not show. The exit status is 1 when there is a fault, and 3 when a file could not be read as what it is.',
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
