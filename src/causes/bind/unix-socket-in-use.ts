import type { UnixSocket } from '../../model/facts.ts';
import type { Question } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { stopHolders } from '../shared/remedies.ts';
import { agree, asked, processes, who } from '../shared/words.ts';

/** A Unix socket that somebody really has. */
export default cause({
  id: 'unix-socket-in-use',
  title: 'Another program listens on this Unix socket',
  on: ['linux'],
  page: {
    see: '`listen EADDRINUSE: address already in use /run/app.sock`, and a program answers when you connect to the path.',
    why: 'A path, or a name of the abstract namespace (`@name`), belongs to one socket at a time. Options such as `SO_REUSEADDR` mean nothing for Unix sockets. Deleting the file is the wrong remedy here: the other server would go on, unreachable, and nobody would notice.',
    now: '`rebind free /run/app.sock` asks the program to end, and removes the file if it stays behind.',
    prevent:
      'End the old server before the new one starts, or give each a path of its own, such as `$XDG_RUNTIME_DIR/app.sock`.',
  },
  recognise(question) {
    const sockets = ownersOf(question);
    const [first] = sockets;
    if (first === undefined) return null;
    return {
      endpoint: asked(question),
      listens: sockets.some(({ state }) => state === 'LISTEN'),
      uid: first.uid,
      holders: holdersOf(sockets, question).map(who),
    };
  },
  say: ({ endpoint, listens, uid, holders }) =>
    `${processes(holders, uid)} ${listens ? agree(holders.length, 'listens', 'listen') : agree(holders.length, 'receives', 'receive')} on ${endpoint}`,
  remedies: (_args, question) => stopHolders(ownersOf(question), question),
  stages: [
    {
      title: 'a Node server listens on the path',
      needs: [],
      async stage(stage) {
        const path = `${stage.directory()}/app.sock`;
        const server = await stage.nodeServer({ path });
        return stage.staged({
          request: stage.unix(path),
          description: `a Node server (pid ${server.pid}) listens on ${path}`,
          holders: [server.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
    {
      title: 'a program listens on a name of the abstract namespace',
      needs: [],
      async stage(stage) {
        const path = `\0rebind-stage-${stage.freePort()}`;
        const actor = await stage.actor('server');
        const socket = await actor.open({ kind: 'unix' });
        await socket.bindPath(path);
        await socket.listen();
        return stage.staged({
          request: stage.unix(path),
          description: `a program (pid ${actor.pid}) listens on @${path.slice(1)}`,
          holders: [actor.pid],
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['stop-process'] },
    },
  ],
});

function ownersOf({ blockers }: Question): UnixSocket[] {
  return blockers
    .map(({ socket }) => socket)
    .filter((socket): socket is UnixSocket => socket.protocol === 'unix' && socket.state !== 'ESTABLISHED');
}
