import { addressCause } from './form.ts';
import { look } from './shared/look.ts';
import { pathOf, unixRefused } from './shared/unix.ts';

/** A server listens on the same path in another mount namespace: a container, a unit with PrivateTmp=. */
export default addressCause({
  id: 'unix-other-mount-namespace',
  title: 'The Unix socket is in the file system of a container or unit',
  on: ['linux'],
  at: 'file',
  page: {
    see: '`ENOENT` or `ECONNREFUSED`, while `ss -xlp` shows a server that listens on exactly this path.',
    why: 'The server sees other files at this path than the client: it runs in a container, or in a unit with `PrivateTmp=yes`, which has a /tmp of its own.',
    now: 'Mount the directory of the socket into both: `-v /run/app:/run/app`. Root reaches it by way of /proc/PID/root.',
    prevent: 'Keep sockets below /run, not in /tmp, and share that directory.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'ENOENT', 'ECONNREFUSED', 'ENOTDIR');
    if (evidence === null || evidence.otherRoot === null) return null;
    const { pid, path } = evidence.otherRoot;
    return { endpoint: pathOf(evidence), pid, inside: path };
  },
  say: ({ endpoint, pid }) =>
    `A server listens on ${endpoint} in another file system (that of process ${pid}), which this client does not see`,
  remedies: ({ inside }) => [
    look(`Share the directory of the socket with the client; from here it is ${inside}`, null),
  ],
  stages: [
    {
      title: 'a server has a directory of its own at the same path',
      needs: ['root', 'namespace'],
      async stage(stage) {
        const directory = stage.directory();
        const path = `${directory}/app.sock`;
        const server = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => require('node:fs').writeSync(1, 'ready\\n'))`;
        const { pid } = await stage.program(
          ['unshare', '--mount', 'sh', '-ec', 'mount -t tmpfs none "$0"; exec "$1" -e "$2"', directory, 'node', server],
          /^ready$/m,
        );
        return stage.reached({
          words: [path],
          description: `a server (pid ${pid}) listens on ${path} in a mount namespace of its own`,
        });
      },
      expect: { reachable: false, errno: 'ENOENT', remedies: ['investigate'] },
    },
  ],
});
