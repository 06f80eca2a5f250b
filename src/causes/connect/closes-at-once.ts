import { holdersOf } from '../../model/reach/holders.ts';
import { processes, who } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { look } from './shared/look.ts';
import { placeOf } from './shared/untaken.ts';

/** Accepted, and closed before a byte. What has a reason that is known stands before it. */
export default addressCause({
  id: 'closes-at-once',
  title: 'The server accepts the connection and closes it without an answer',
  on: ['linux'],
  at: 'answer',
  alone: true,
  page: {
    see: '`ECONNRESET`, `socket hang up`, `other side closed`, "Empty reply from server". `fetch` of Node 20 stays pending for ever.',
    why: 'A process accepted and closed at once. Mostly a proxy whose server behind it is down or refuses it (docker-proxy, HAProxy, ssh -L), a list of allowed clients, a server that is shutting down, or one that expects another protocol and says nothing about it.',
    now: 'Look at the log of the process that the answer names. Behind a proxy, ask the server behind it: `rebind reach` from there.',
    prevent: 'Let proxies answer with 502 or 503 when their server is away, and log refused clients.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const connected = evidence?.connected;
    if (evidence === null || evidence.protocol !== 'tcp' || connected == null) return null;
    const said = connected.request ?? connected.first;
    if (said?.kind !== 'end' && said?.kind !== 'reset') return null;
    const found = evidence.before.lookup?.found ?? null;
    const holders = holdersOf(evidence, found?.inode);
    return {
      endpoint: placeOf(evidence),
      how: said.kind,
      asked: connected.request !== null,
      here: found !== null,
      uid: found?.uid ?? 0,
      holders: holders.map(({ holder }) => holder).map(who),
    } as const;
  },
  say: ({ endpoint, how, asked, here, uid, holders }) =>
    `${here ? processes(holders, uid) : `The server at ${endpoint}`} accepts connections${here ? ` to ${endpoint}` : ''} and ${how === 'end' ? 'closes' : 'resets'} them ${asked ? 'without an answer to a request' : 'at once'}`,
  remedies: ({ holders }) => [
    look(
      holders.length === 0
        ? 'Look at the log of the server, or of the proxy in front of it'
        : `Look at the log of ${holders
            .slice(0, 2)
            .map(({ program, pid }) => `${program} (pid ${pid})`)
            .join(' and ')}, and at what is behind it if it is a proxy`,
      null,
    ),
  ],
  stages: [
    {
      title: 'a server closes every connection',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const { pid } = await stage.nodeProgram(
          `require('node:net').createServer((socket) => socket.destroy()).listen(${port}, '127.0.0.1', () => require('node:fs').writeSync(1, 'listening on port ${port}\\n'));
`,
        );
        return stage.reached({
          words: [`127.0.0.1:${port}`, '--request'],
          description: `a server (pid ${pid}) on 127.0.0.1:${port} closes every connection at once`,
          holders: [pid],
        });
      },
      expect: { reachable: false, errno: 'ECONNRESET', remedies: ['investigate'] },
    },
  ],
});
