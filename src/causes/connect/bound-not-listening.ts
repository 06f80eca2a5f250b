import bind from '../bind/bound-not-listening.ts';
import { agree, named, processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { holdersOf } from './shared/absent.ts';
import { refusedHere } from './shared/here.ts';
import { takes } from './shared/take.ts';
import { placeOf, stopServer } from './shared/untaken.ts';

/** bind() without listen(), or a listener that was shut down: the page is that of the same cause of binding. */
export default addressCause({
  id: 'bound-not-listening',
  title: bind.title,
  on: ['linux'],
  at: 'listener',
  page: bind.page,
  recognise(question) {
    const here = refusedHere(question);
    if (here === null || here.sockets.some(({ state }) => state === 'LISTEN')) return null;
    const bound = here.sockets.filter((socket) => socket.state === 'BOUND' && takes(socket, here.endpoint.address));
    const [first] = bound;
    if (first === undefined) return null;
    const holders = holdersOf(here, bound);
    return { endpoint: placeOf(here.evidence), port: here.endpoint.port, uid: first.uid, holders };
  },
  say: ({ endpoint, uid, holders }) =>
    `${processes(holders, uid)} ${agree(named(holders), 'has', 'have')} bound ${endpoint} and ${agree(named(holders), 'does', 'do')} not listen: not yet, or not any more`,
  remedies: ({ port }) => [
    {
      remedy: 'wait',
      sentence: 'If the server is still starting, wait until it listens',
      command: `rebind wait ${port} --for open`,
      automatic: false,
      args: { port },
    },
    ...stopServer(port),
  ],
  stages: [
    {
      title: 'a program bound the port and does not listen',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('program');
        await (await actor.open()).bind('127.0.0.1', port);
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a program (pid ${actor.pid}) bound 127.0.0.1:${port} and does not listen`,
          holders: [actor.pid],
        });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['wait', 'stop-process'] },
    },
    {
      title: 'a server stopped listening by shutdown and has the socket open',
      needs: [],
      async stage(stage) {
        const port = stage.freePort();
        const actor = await stage.actor('program');
        const listener = await actor.open();
        await listener.bind('127.0.0.1', port);
        await listener.listen();
        await listener.shutdown('read');
        return stage.reached({
          words: [`127.0.0.1:${port}`],
          description: `a server (pid ${actor.pid}) on 127.0.0.1:${port} stopped listening by shutdown`,
          holders: [actor.pid],
        });
      },
      expect: { reachable: false, errno: 'ECONNREFUSED' },
    },
  ],
});
