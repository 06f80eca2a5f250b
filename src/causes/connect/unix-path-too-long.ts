import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { bytesOf, isTooLong, longest, pathOf, unixOf } from './shared/unix.ts';

/** The address has no room for the path. */
export default addressCause({
  id: 'unix-path-too-long',
  title: 'The path is longer than the address of a Unix socket can be',
  on: ['linux'],
  at: 'file',
  page: {
    see: '`ENOENT` or `EINVAL` for a path that exists, or "path too long".',
    why: 'The address of a Unix socket has room for 107 bytes. Node 20 and 22 cut a longer path off silently, Node 24 and later refuse it with `EINVAL`.',
    now: 'Use a shorter path, or make a symbolic link to the directory and use it. A path relative to the working directory also works.',
    prevent: 'Keep sockets below /run or `$XDG_RUNTIME_DIR`, not deep in a project.',
  },
  recognise(question) {
    const evidence = unixOf(question);
    if (evidence === null) return null;
    const bytes = bytesOf(evidence);
    return isTooLong(evidence) ? { endpoint: pathOf(evidence), bytes } : null;
  },
  say: ({ endpoint, bytes }) => `${endpoint} has ${bytes} bytes, and the path of a Unix socket at most ${longest}`,
  remedies: () => [change('change-request', 'Use a shorter path, on both sides', null)],
  stages: [
    {
      title: 'a path of more than 107 bytes',
      needs: [],
      async stage(stage) {
        const path = `${stage.directory()}/${'x'.repeat(110)}.sock`;
        return stage.reached({ words: [path], description: `${path} has more than 107 bytes` });
      },
      expect: { reachable: false, errno: 'ENAMETOOLONG', remedies: ['change-request'] },
    },
  ],
});
