import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { listener, pathOf, unixRefused } from './shared/unix.ts';

/** Connecting needs the right to write to the file, and to enter every directory above it (unix(7)). */
export default addressCause({
  id: 'unix-permission',
  title: 'This user may not connect to the Unix socket',
  on: ['linux'],
  at: 'file',
  page: {
    see: '`EACCES`, "Permission denied", for some users, while root or the owner connects.',
    why: 'Connecting to a Unix socket needs the right to write to its file, and to enter every directory above it. A server makes the file with the rights that its umask leaves: with the usual 022, only its own user may write.',
    now: 'Join the group of the socket and log in again (`usermod -aG docker ann`), or let the server set the mode: `server.listen({ path, writableAll: true })` in Node, `unixsocketperm` of redis, `SocketMode=` of systemd.',
    prevent: 'Give the socket a group for its clients, and mode 0660.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'EACCES');
    if (evidence === null) return null;
    const { stat, file } = evidence;
    return {
      endpoint: pathOf(evidence),
      path: evidence.path,
      user: question.asker.user,
      stuckAt: stat.stuckAt,
      mode: stat.mode === null ? null : (stat.mode & 0o7777).toString(8).padStart(4, '0'),
      owner: file?.uid ?? null,
    };
  },
  say({ endpoint, user, stuckAt, mode, owner }) {
    if (stuckAt !== null) return `${user} may not connect to ${endpoint}: the directory ${stuckAt} may not be entered`;
    const rights = mode === null ? '' : `: its mode is ${mode}${owner === null ? '' : `, its owner uid ${owner}`}`;
    return `${user} may not connect to ${endpoint}, which needs the right to write${rights}`;
  },
  remedies: ({ path }, question) => [
    change(
      'grant-privilege',
      'Join the group that may write, or let the server give its file another mode',
      question.advice.network?.permissions(path),
    ),
  ],
  stages: [
    {
      title: 'another user may read the file and not write to it',
      needs: ['unprivileged', 'root'],
      async stage(stage) {
        const path = `${stage.directory()}/app.sock`;
        await listener(stage, path);
        await stage.run(['chmod', '755', stage.directory(), path]);
        return stage.reached({
          words: [path],
          description: `a server of root listens on ${path}, whose mode is 0755`,
          from: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'EACCES', remedies: ['grant-privilege'] },
    },
    {
      title: 'another user may not enter the directory',
      needs: ['unprivileged', 'root'],
      async stage(stage) {
        const path = `${stage.directory()}/app.sock`;
        await listener(stage, path);
        await stage.run(['chmod', '777', path]);
        return stage.reached({
          words: [path],
          description: `a server of root listens on ${path}, whose directory only root may enter`,
          from: stage.unprivileged().askAs,
        });
      },
      expect: { reachable: false, errno: 'EACCES', remedies: ['grant-privilege'] },
    },
  ],
});
