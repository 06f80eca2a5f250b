import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { whoHas } from './shared/holders.ts';
import { change } from './shared/look.ts';
import { atPath, listener, lostListeners, pathOf, unixRefused } from './shared/unix.ts';

/** A server lives, and the path no longer leads to it: its file was removed, or another one stands in its place (UNIX_DIAG_VFS). */
export default addressCause({
  id: 'unix-socket-replaced',
  title: 'The server of the Unix socket lives, but its file was removed or replaced',
  on: ['linux'],
  at: 'file',
  page: {
    see: '`ENOENT` or `ECONNREFUSED`, while `ss -xlp` shows a server that listens on exactly this path.',
    why: 'A client finds a Unix socket by its file. The file of the running server was removed by a second server that cleaned up before it started, by a script, or by a cleaner of temporary files. Or another socket was bound at this path since. The server keeps listening, and no client can reach it.',
    now: 'Restart the server, so that it makes its file again.',
    prevent:
      'Never remove the file of a socket without checking that no program listens: `rebind free PATH` checks. Keep sockets out of /tmp.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'ENOENT', 'ECONNREFUSED');
    if (evidence === null || evidence.otherRoot !== null) return null;
    const lost = lostListeners(evidence);
    const [first] = lost;
    if (first === undefined) return null;
    const removed = evidence.stat.errno === 'ENOENT';
    return {
      endpoint: pathOf(evidence),
      removed,
      uid: first.uid,
      ...whoHas(
        evidence.conditions,
        lost.map(({ inode }) => inode),
      ),
    };
  },
  say: ({ endpoint, removed, holders, uid }) =>
    `${processes(holders, uid)} listens on ${endpoint}, but ${removed ? 'its file was removed' : 'another file stands in the place of its own'}, so that no client finds it`,
  remedies: ({ pids }) => [
    change('stop-process', 'Restart the server, so that it makes its file again', null, { pids }),
  ],
  stages: [
    {
      title: 'the file of a running server was removed',
      needs: [],
      stage: (stage) =>
        atPath(stage, 'the file PATH of a running server was removed', async (path) => {
          const actor = await listener(stage, path);
          await stage.run(['rm', path]);
          return actor;
        }),
      expect: { reachable: false, errno: 'ENOENT', remedies: ['stop-process'] },
    },
    {
      title: 'another program has replaced the file of a running server and exited',
      needs: [],
      stage: (stage) =>
        atPath(
          stage,
          'the file PATH of a running server was replaced by another program, which has exited',
          async (path) => {
            const actor = await listener(stage, path);
            await stage.run(['rm', path]);
            const second = await listener(stage, path);
            await second.kill();
            return actor;
          },
        ),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['stop-process'] },
    },
  ],
});
