import { formatEndpoint } from '../../model/endpoint.ts';
import type { Remedy } from '../../model/verdict.ts';
import { addressCause } from './form.ts';
import { refusedHere } from './shared/here.ts';

/** The plain case: the address is ours, and no socket has the port. */
export default addressCause({
  id: 'nothing-listens',
  title: 'No program listens on this port',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED`, at once. With `localhost`, Node tries both of its addresses and throws an `AggregateError`, whose message is empty in Node 20.',
    why: 'The address belongs to this machine, and no socket listens on the port: not on another address, and not in a container or another network namespace that rebind can see. The kernel answers with a reset.',
    now: 'Start the server. If it should be running, look at what it printed last: it may have crashed, or may still be starting. `rebind ls` lists every port that a program listens on.',
    prevent:
      'Let clients start after the server is ready: `rebind wait 3000 --for open && node client.js`. In a client of your own, `connect(3000)` tries again until the server is there.',
  },
  recognise(question) {
    const here = refusedHere(question);
    if (here === null || here.sockets.length > 0 || here.elsewhere.length > 0) return null;
    return { endpoint: formatEndpoint(here.endpoint), port: here.endpoint.port } as const;
  },
  say: ({ endpoint }) => `No program listens on ${endpoint}`,
  remedies: ({ port }): Remedy[] => [
    {
      remedy: 'start-server',
      sentence: `Start the server; "rebind wait ${port} --for open" returns when it listens`,
      command: null,
      automatic: false,
      args: { port },
    },
  ],
  stages: [
    {
      title: 'no program has the port',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        return stage.reached({ words: [`127.0.0.1:${port}`], description: `no program listens on port ${port}` });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['start-server'] },
    },
  ],
});
