import bind from '../bind/self-connect.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { change } from './shared/look.ts';
import { placeOf } from './shared/untaken.ts';

/** Our own two ends are one socket: nobody listens. The page is that of the same cause of binding. */
export default addressCause({
  id: 'self-connect',
  title: bind.title,
  on: ['linux'],
  at: 'listener',
  page: bind.page,
  recognise(question) {
    const evidence = inetOf(question);
    const connected = evidence?.connected;
    if (evidence === null || connected == null) return null;
    const { local, remote } = connected;
    if (local.port !== remote.port || local.address !== remote.address) return null;
    return { endpoint: placeOf(evidence), port: evidence.endpoint.port };
  },
  say: ({ endpoint }) =>
    `Nothing listens on ${endpoint}: the kernel gave the client the same port as its own, and connected it to itself`,
  remedies: ({ port }, { advice }) => [
    change('start-server', 'Start the server', null, { port }),
    change('reserve-port', 'Keep the port from being given to clients', advice.reserve([[port, port]]), {
      ports: [port],
    }),
  ],
  stages: [
    {
      title: 'no program listens on the only port that clients are given',
      needs: ['namespace'],
      async stage(stage) {
        const port = 40_100;
        stage.setting('ipv4.ip_local_port_range', `${port} ${port}`);
        stage.defer(async () => stage.setting('ipv4.ip_local_port_range', '32768 60999'));
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `no program listens on port ${port}, which is the only one that the kernel gives to clients`,
        });
      },
      expect: { reachable: false, errno: null, remedies: ['start-server', 'reserve-port'] },
    },
  ],
});
