import { formatAddress } from '../../model/address.ts';
import { addressCause } from './form.ts';
import { look } from './shared/look.ts';
import { peopleOf, processOf, stopServer, untaken, waitingWords } from './shared/untaken.ts';

/** One client at a time, and somebody else is that client. */
export default addressCause({
  id: 'busy-with-another-client',
  title: 'The server serves one client at a time, and is waiting for another one',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'The connect succeeds and nothing is answered, until some other client goes away. Often a browser: Chrome opens a second connection ahead of time and sends nothing on it.',
    why: 'The server handles one connection after the other: Flask, Django or `http.server` without threads, a small server in C, `nc -lk`. It sleeps in a read or write on the connection of another client, and accepts nobody until that is over. Only root, or the user of the server, can see which client it is.',
    now: 'Close the other client; the answer names its address. Or restart the server.',
    prevent:
      'Serve clients side by side: `flask run` has threads since 1.0, `python -m http.server` since 3.7, gunicorn has `--threads`. Set a timeout for idle connections.',
  },
  recognise(question) {
    const found = untaken(question);
    const serving = found?.conditions.find(({ serves }) => serves !== null);
    if (found === null || serving?.serves == null || found.conditions.some(({ waits }) => waits === true)) return null;
    const { endpoint, uid, waiting, port } = found;
    const { peer, call } = serving.serves;
    return {
      endpoint,
      uid,
      waiting,
      port,
      call,
      peer: formatAddress(peer.address, peer.port),
      holders: peopleOf([serving]),
    };
  },
  say: ({ endpoint, uid, waiting, call, peer, holders }) =>
    `${processOf(holders, uid)} listens on ${endpoint}, serves one client at a time, and ${call === 'read' ? 'waits for data of' : 'waits until it can send to'} ${peer}${waitingWords(waiting)}`,
  remedies: ({ peer, port }, { advice }) => [
    look(`Close the client at ${peer}`, advice.network?.connectionsOf(peer)),
    ...stopServer(port),
  ],
  stages: [
    {
      title: 'a server that reads from one connection at a time, and an idle client',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const server = await stage.actor('one-at-a-time');
        const listener = await server.open();
        await listener.bind('127.0.0.1', port);
        await listener.listen();
        const client = await stage.actor('idle-client');
        const connection = await client.open();
        await connection.connect('127.0.0.1', port);
        const accepted = await listener.accept();
        await accepted.beginRead();
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a server (pid ${server.pid}) on 127.0.0.1:${port} reads from the connection of an idle client (pid ${client.pid})`,
          holders: [server.pid],
          asUser: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT', asUser: { cause: 'not-accepted' } },
    },
  ],
});
