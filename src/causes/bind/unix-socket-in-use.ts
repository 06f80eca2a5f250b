import type { UnixSocket } from '../../model/facts.ts';
import type { Question, Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { holdersOf } from '../shared/kinds.ts';
import { stopHolders } from '../shared/stopping.ts';
import { agree, andThen, asked, managed, named, processes, who } from '../shared/words.ts';

/** A Unix socket that somebody really has. */
export default cause({
  id: 'unix-socket-in-use',
  title: 'Another program listens on this Unix socket',
  on: ['linux', 'darwin'],
  page: {
    see: '`listen EADDRINUSE: address already in use /run/app.sock`, and a program answers when you connect to the path.',
    why: 'A path, or a name of the abstract namespace (`@name`), belongs to one socket at a time. Options such as `SO_REUSEADDR` mean nothing for Unix sockets. Do not delete the file: the other server would keep running, unreachable.',
    now: '`rebind free /run/app.sock` stops the program, and removes the file if it is left over.',
    prevent:
      'Stop the old server before the new one starts, or give each a path of its own, such as `$XDG_RUNTIME_DIR/app.sock`.',
  },
  recognise(question) {
    const sockets = ownersOf(question);
    const [first] = sockets;
    const { request, errno, facts } = question;
    const unseen = first === undefined && facts.unixFile?.inUse === true;
    if (request.endpoint.protocol !== 'unix' || errno !== 'EADDRINUSE' || (first === undefined && !unseen)) return null;
    return {
      endpoint: asked(question),
      listens: sockets.some(({ state }) => state === 'LISTEN'),
      uid: first?.uid ?? facts.unixFile?.uid ?? 0,
      holders: holdersOf(sockets, question).map(who),
      managed: managed(holdersOf(sockets, question), question),
      elsewhere: unseen || first?.elsewhere === true,
      seen: !unseen,
    };
  },
  say({ endpoint, listens, uid, holders, elsewhere, seen, managed: by }) {
    if (!seen)
      return `A program in another network namespace, such as a container that shares this directory, has ${endpoint} open; that program is not visible from here`;
    const verb = listens ? agree(named(holders), 'listens', 'listen') : agree(named(holders), 'receives', 'receive');
    return `${processes(holders, uid)} ${verb} on ${endpoint}${elsewhere ? ', in another network namespace' : ''}${andThen(by)}`;
  },
  remedies: ({ seen }, question) => (seen ? stopHolders(ownersOf(question), question) : [lookOutside]),
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

const lookOutside: Remedy = {
  remedy: 'investigate',
  sentence:
    'Look in the containers that share this directory, or ask again as root on the host. Do not remove the file',
  command: null,
  automatic: false,
  args: {},
};

function ownersOf({ blockers }: Question): UnixSocket[] {
  return blockers
    .map(({ socket }) => socket)
    .filter((socket): socket is UnixSocket => socket.protocol === 'unix' && socket.state !== 'ESTABLISHED');
}
