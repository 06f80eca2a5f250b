import { addressCause } from './form.ts';
import { look } from './shared/look.ts';
import { peopleOf, processOf, stopServer, untaken, waitingWords } from './shared/untaken.ts';

/**
 * Of the look, what it ran or waited for a processor. A loop that comes round accepts, however busy it is; half of the time shows that it computes
 * meanwhile, and the kernel counts a wait only when it is over.
 */
const busy = 0.5;

/** The program computes and never returns to its event loop. */
export default addressCause({
  id: 'loop-stuck',
  title: 'The server computes and accepts nothing meanwhile',
  on: ['linux'],
  at: 'process',
  page: {
    see: 'The connect succeeds and nothing is answered. The process uses a whole processor.',
    why: 'A program with an event loop, such as Node, accepts connections between its other work. An endless loop, a regular expression that explodes, a huge JSON text or synchronous work keep it from ever returning there. rebind watched the process for a quarter of a second: it ran all the time and accepted nothing.',
    now: 'See what it computes: `kill -USR1 PID` opens the inspector of Node, `perf top -p PID` works for every program. If it never ends, restart the server.',
    prevent:
      'Move long work to a worker thread, cut it into pieces, and watch the delay of the event loop (`perf_hooks.monitorEventLoopDelay`).',
  },
  recognise(question) {
    const found = untaken(question);
    if (found === null || found.conditions.length === 0) return null;
    const working = found.conditions.filter(
      (each) => (each.busy ?? 0) >= busy && !/^[TtZ]$/.test(each.holder.processState),
    );
    if (working.length === 0 || working.length < found.conditions.length) return null;
    const { endpoint, uid, waiting, port } = found;
    return { endpoint, uid, waiting, port, holders: peopleOf(working) };
  },
  say: ({ endpoint, uid, waiting, holders }) =>
    `${processOf(holders, uid)} listens on ${endpoint}, is busy computing and accepts nothing${waitingWords(waiting)}`,
  remedies({ holders, port }, { advice }) {
    const [{ pid } = { pid: 0 }] = holders;
    return [look('See what it computes', advice.process?.profile(pid)), ...stopServer(port)];
  },
  stages: [
    {
      title: 'a Node server is in an endless loop',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const { pid } = await stage.nodeProgram(
          `const server = require('node:http').createServer((request, response) => response.end('hello'));
server.listen(${port}, '127.0.0.1', () => setImmediate(() => setImmediate(() => {
  require('node:fs').writeSync(1, 'listening on port ${port}\\n');
  for (;;);
})));
`,
        );
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a Node server (pid ${pid}) listens on 127.0.0.1:${port} and is in an endless loop`,
          holders: [pid],
          asUser: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'ETIMEDOUT', asUser: { cause: 'not-accepted' } },
    },
  ],
});
