import { addressCause } from './form.ts';
import { change, look } from './shared/look.ts';
import { atPath, isTooLong, lostListeners, pathOf, unixRefused } from './shared/unix.ts';

/** Nothing is at the path, or the way to it is broken (path_resolution(7)). */
export default addressCause({
  id: 'unix-no-file',
  title: 'There is no file at the path of the Unix socket',
  on: ['linux'],
  at: 'file',
  page: {
    see: '`ENOENT`, "No such file or directory", `ENOTDIR` or `ELOOP`, at once.',
    why: 'The server makes the file when it listens, so usually it does not run, or it listens on another path: a relative path depends on the working directory of the server. A directory below /run is gone after a reboot. The path may also lead through a symbolic link whose target is missing.',
    now: 'Start the server, or find its path: `ss -xlp` lists every listening Unix socket with its process.',
    prevent: 'Use an absolute path on both sides, and `RuntimeDirectory=` of the unit for its directory.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'ENOENT', 'ENOTDIR', 'ELOOP');
    if (evidence === null || isTooLong(evidence) || evidence.otherRoot !== null || lostListeners(evidence).length > 0)
      return null;
    const { stat } = evidence;
    const errno = evidence.attempt?.errno ?? stat.errno ?? '';
    return {
      endpoint: pathOf(evidence),
      path: evidence.path,
      errno,
      dangling: stat.danglingLink,
      stuckAt: stat.stuckAt,
    };
  },
  say({ endpoint, errno, dangling, stuckAt }) {
    if (errno === 'ELOOP') return `${endpoint} is a symbolic link that leads back to itself`;
    if (errno === 'ENOTDIR') return `${endpoint} cannot exist: ${stuckAt ?? 'a part of the path'} is not a directory`;
    if (dangling) return `${endpoint} is a symbolic link to a file that does not exist`;
    if (stuckAt !== null) return `${endpoint} does not exist: there is no directory ${stuckAt}`;
    return `No program listens on ${endpoint}: there is no such file`;
  },
  remedies: ({ path }, question) => [
    change('start-server', 'Start the server, or correct the path', null),
    look(
      'Look for a server that listens on another path of this name',
      question.advice.network?.unixSockets(path.slice(path.lastIndexOf('/') + 1)),
    ),
  ],
  stages: [
    {
      title: 'nothing is at the path',
      needs: [],
      stage: (stage) => atPath(stage, 'nothing is at PATH', async () => undefined),
      expect: { reachable: false, errno: 'ENOENT', remedies: ['start-server', 'investigate'] },
    },
    ...(
      [
        ['a symbolic link leads to nothing', 'ENOENT', 'ln -s missing "$0"'],
        ['a symbolic link leads to itself', 'ELOOP', 'ln -s "$0" "$0"'],
      ] as const
    ).map(([title, errno, command]) => ({
      title,
      needs: [],
      stage: (stage: Parameters<typeof atPath>[0]) =>
        atPath(stage, `${title}: PATH`, async (path) => {
          await stage.run(['sh', '-ec', command, path]);
          return undefined;
        }),
      expect: { reachable: false, errno },
    })),
    {
      title: 'a part of the path is a file',
      needs: [],
      async stage(stage) {
        const file = stage.file('plain', '');
        return stage.reached({ words: [`${file}/app.sock`], description: `${file} is a file, not a directory` });
      },
      expect: { reachable: false, errno: 'ENOTDIR' },
    },
  ],
});
