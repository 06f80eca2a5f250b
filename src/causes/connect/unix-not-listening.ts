import { processes } from '../shared/words.ts';
import { addressCause } from './form.ts';
import { whoHas } from './shared/holders.ts';
import { look } from './shared/look.ts';
import { atPath, listener, pathOf, socketsOfFile, unixRefused } from './shared/unix.ts';

/** bind() without listen() on the path. */
export default addressCause({
  id: 'unix-not-listening',
  title: 'A program has bound the path of the Unix socket and does not listen',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`ECONNREFUSED`, and the file is there and a process has it open.',
    why: 'The program bound the path and has not called `listen()`: it is still starting, it hangs between the two calls, or its listen failed.',
    now: 'Wait a moment and try again. If it stays so, look at what the program does.',
    prevent: 'Call `listen()` right after `bind()`, and exit when either fails.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'ECONNREFUSED');
    const bound =
      evidence === null
        ? []
        : socketsOfFile(evidence).filter(({ state, type }) => state === 'BOUND' && type === 'stream');
    const [first] = bound;
    if (evidence === null || first === undefined) return null;
    return { endpoint: pathOf(evidence), ...whoHas(evidence.conditions, [first.inode]), uid: first.uid };
  },
  say: ({ endpoint, holders, uid }) => `${processes(holders, uid)} has bound ${endpoint} and does not listen`,
  remedies: () => [look('Wait a moment and try again; then look at what the program does', null)],
  stages: [
    {
      title: 'a program has bound the path and does not listen',
      needs: [],
      stage: (stage) =>
        atPath(stage, 'a program bound PATH and never listens', async (path) => {
          await listener(stage, path, { backlog: null });
          return undefined;
        }),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['investigate'] },
    },
  ],
});
