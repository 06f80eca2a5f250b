import { restrictedPort } from '../../model/rules/darwin-refusal.ts';
import { cause } from '../cause.ts';
import { asked, capital, inWords } from '../shared/words.ts';

/** A port that the system reserves, for every user. */
export default cause({
  id: 'restricted-port',
  title: 'The system keeps this port for a program of its own',
  on: ['darwin'],
  page: {
    see: '`EADDRINUSE` on TCP port 55555, at every start, also as root. `lsof`, `netstat` and `rebind ls` show nothing on it.',
    why: 'Since macOS 10.15 the kernel has a list of ports that only programs with an entitlement of Apple may bind. Its only entry is TCP port 55555. Nothing needs to listen there for the port to be refused; UDP port 55555 is free.',
    now: 'Use another port. `sysctl net.restricted_port.bitmap` shows the list of this Mac.',
    prevent: 'Do not make 55555 the default of a program that runs on macOS.',
  },
  recognise(question) {
    const { errno, request, blockers, disagrees } = question;
    const { endpoint } = request;
    if (errno !== 'EADDRINUSE' || endpoint.protocol !== 'tcp' || endpoint.port !== restrictedPort) return null;
    return blockers.length > 0 || disagrees ? null : { endpoint: asked(question), port: endpoint.port };
  },
  say: ({ endpoint }) => `${capital(inWords(endpoint))} is kept by macOS for programs of its own; no process uses it`,
  remedies: ({ port }) => [
    {
      remedy: 'use-port',
      sentence: `Use another port, such as ${port + 1}`,
      command: null,
      automatic: false,
      args: { port: port + 1 },
    },
  ],
  stages: [],
});
