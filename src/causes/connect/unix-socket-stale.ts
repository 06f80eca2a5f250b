import { addressCause } from './form.ts';
import { change } from './shared/look.ts';
import { atPath, listener, lostListeners, pathOf, socketsOfFile, unixRefused } from './shared/unix.ts';

/** The file of a socket that no process has open. The page of binding tells how it is left; this one what a client meets. */
export default addressCause({
  id: 'unix-socket-stale',
  title: 'The file of the Unix socket is left, and no program listens on it',
  on: ['linux'],
  at: 'listener',
  page: {
    see: '`connect ECONNREFUSED /run/app.sock`, although the file is there.',
    why: 'The server made the file when it listened, and exited without removing it: it crashed or was killed. The file alone is nothing that a client can connect to.',
    now: 'Start the server. If it then reports `EADDRINUSE`, `rebind free PATH` removes the leftover file after it has checked that no process has the socket.',
    prevent: 'Close the server on SIGTERM, and let it remove a stale file when it starts.',
  },
  recognise(question) {
    const evidence = unixRefused(question, 'ECONNREFUSED');
    if (evidence === null || (evidence.file !== null && evidence.file.kind !== 'socket')) return null;
    if (evidence.otherRoot !== null || lostListeners(evidence).length > 0) return null;
    if (socketsOfFile(evidence).some(({ type, elsewhere }) => type === 'stream' && !elsewhere)) return null;
    return { endpoint: pathOf(evidence), path: evidence.path, proven: evidence.sockets !== null };
  },
  say: ({ endpoint, proven }) =>
    proven
      ? `No program listens on ${endpoint}: the file is left of a server that has exited`
      : `${endpoint} refuses connections, as the file that a server leaves when it exits`,
  remedies: ({ path }) => [
    change('start-server', 'Start the server; if it cannot listen, "rebind free" removes the file', null, { path }),
  ],
  stages: [
    {
      title: 'a server was killed and has left its file',
      needs: [],
      stage: (stage) =>
        atPath(stage, 'the server of PATH was killed', async (path) => {
          const actor = await listener(stage, path);
          await actor.kill();
          return undefined;
        }),
      expect: { reachable: false, errno: 'ECONNREFUSED', remedies: ['start-server'] },
    },
  ],
});
