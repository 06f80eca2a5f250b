import { holdersOf } from '../../model/reach/holders.ts';
import { processes, who } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { inetOf } from './shared/attempts.ts';
import { look } from './shared/look.ts';
import { placeOf, stopServer } from './shared/untaken.ts';

/** A process has the connection and the request, and says nothing. Only where a request was sent. */
export default addressCause({
  id: 'accepted-never-answers',
  title: 'The server accepted the connection and does not answer',
  on: ['linux'],
  at: 'answer',
  page: {
    see: 'The connect succeeds, the request is sent and acknowledged, and no answer comes.',
    why: 'A process accepted the connection and has the request, or can have it. It waits for something else: a database, a lock, an upstream server, a handler that never ends its response. Or it speaks another protocol and waits for more.',
    now: 'Look at what the process waits for: its log, its own connections, a profile. A longer `--timeout` shows whether it is only slow.',
    prevent: 'Set timeouts for everything that a handler waits for, and answer with 503 when one is over.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const connected = evidence?.connected;
    if (evidence === null || connected?.request?.kind !== 'silence') return null;
    const { mirror, info, request } = connected;
    if (mirror === null || mirror.inode === 0 || (info !== null && info.unacknowledged > 0)) return null;
    const found = evidence.before.lookup?.found ?? null;
    const holders = holdersOf(evidence, found?.inode);
    return {
      endpoint: placeOf(evidence),
      port: evidence.endpoint.port,
      waitedMs: Math.round(request.elapsedMs),
      uid: found?.uid ?? 0,
      holders: holders.map(({ holder }) => holder).map(who),
    };
  },
  say: ({ endpoint, waitedMs, uid, holders }) =>
    `${processes(holders, uid)} accepted the connection to ${endpoint} and sent no answer within ${waitedMs} ms`,
  remedies: ({ holders, port }, { advice }) => [
    ...holders.slice(0, 1).map(({ pid }) => look('Look at what it waits for', advice.process?.descriptorsOf(pid))),
    ...stopServer(port),
  ],
  stages: [
    {
      title: 'a Node server accepts and its handler never ends',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const { pid } = await stage.nodeProgram(
          `require('node:http').createServer(() => {}).listen(${port}, '127.0.0.1', () => require('node:fs').writeSync(1, 'listening on port ${port}\\n'));
`,
        );
        return stage.reached({
          words: [`http://127.0.0.1:${port}/`],
          description: `a Node server (pid ${pid}) on 127.0.0.1:${port} never ends its responses`,
          holders: [pid],
          asUser: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT', asUser: { cause: 'accepted-never-answers' } },
    },
  ],
});
