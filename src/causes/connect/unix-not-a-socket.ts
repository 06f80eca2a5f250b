import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { atPath, pathOf, unixRefused } from './shared/unix.ts';

/** A file, a directory or a FIFO is at the path: the kernel answers ECONNREFUSED (unix_find_bsd). */
export default addressCause({
  id: 'unix-not-a-socket',
  title: 'What is at the path is not a socket',
  on: ['linux'],
  at: 'file',
  page: {
    see: '`ECONNREFUSED`, as if a server had crashed.',
    why: 'The kernel reports the same error for a socket that no program listens on and for a path that is no socket at all: a regular file, a directory, a pipe. A container engine makes a directory where a bind mount names a socket that does not exist yet, such as /var/run/docker.sock.',
    now: 'Look at it with `ls -ld PATH`. Remove it if no program needs it, and start the server, which makes the socket.',
    prevent: 'Mount the directory of a socket, not the socket itself, so that it may be made later.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'ECONNREFUSED');
    const kind = evidence?.file?.kind;
    if (evidence === null || (kind !== 'directory' && kind !== 'other')) return null;
    return { endpoint: pathOf(evidence), path: evidence.path, kind };
  },
  say: ({ endpoint, kind }) =>
    kind === 'directory' ? `${endpoint} is a directory, not a socket` : `${endpoint} is a file that is not a socket`,
  remedies: ({ path, kind }, question) => [
    change(
      'remove-file',
      kind === 'directory'
        ? 'Correct the path, or remove the directory if it is empty and nothing needs it, and start the server'
        : 'Look at it, remove it if no program needs it, and start the server',
      question.advice.network?.permissions(path),
      { path },
    ),
  ],
  stages: (
    [
      ['a regular file is at the path', ': >"$0"'],
      ['a directory is at the path', 'mkdir "$0"'],
      ['a pipe is at the path', 'mkfifo "$0"'],
    ] as const
  ).map(([title, command]) => ({
    title,
    needs: [],
    stage: (stage) =>
      atPath(stage, `${title} PATH`, async (path) => {
        await stage.run(['sh', '-ec', command, path]);
        return undefined;
      }),
    expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['remove-file'] },
  })),
});
