import { shellWord } from '../../model/text.ts';
import type { Remedy } from '../../model/verdict.ts';
import { cause } from '../cause.ts';
import { rebindFree } from '../shared/remedies.ts';
import { asked, onOtherFileSystem } from '../shared/words.ts';

const otherPath: Remedy = {
  remedy: 'use-address',
  sentence: onOtherFileSystem,
  command: null,
  automatic: false,
  args: {},
};

/** A path that is occupied by a file and by no socket. */
export default cause({
  id: 'unix-socket-stale',
  title: 'A file is in the place of the Unix socket, and no program listens on it',
  on: ['linux', 'darwin'],
  page: {
    see: '`listen EADDRINUSE: address already in use /run/app.sock` after a crash or a `kill -9`, and connecting to the path gives `ECONNREFUSED`.',
    why: 'Binding a Unix socket makes a file, and the file stays when the program exits without removing it. The next bind fails on any file in that place; no option changes that. Node removes the file when a server is closed properly, and cannot when it is killed.',
    now: '`rebind free /run/app.sock` checks that no process has the socket, then removes the file. It removes only sockets: a regular file at that path is a mistake that you should look at.',
    prevent:
      'Close the server on SIGTERM. Or let a service manager own the path: `RuntimeDirectory=` of systemd empties the directory, and socket activation keeps the socket itself.',
  },
  recognise(question) {
    const { request, facts, errno, blockers } = question;
    if (request.endpoint.protocol !== 'unix' || errno !== 'EADDRINUSE' || blockers.length > 0) return null;
    const file = facts.unixFile;
    if (file === null || file.kind === 'none' || file.inUse === true) return null;
    const { kind, uid, inUse, empty, fileSystem, holdsSockets } = file;
    return {
      endpoint: asked(question),
      path: request.endpoint.path,
      kind,
      uid,
      proven: inUse === false,
      empty,
      // Some programs behind a file system make a plain file where a socket was wanted, and fail then.
      noSockets: kind === 'other' && empty === true && holdsSockets !== true ? (fileSystem ?? 'unknown') : null,
    };
  },
  say({ endpoint, kind, proven, empty, noSockets }) {
    if (noSockets !== null)
      return `${endpoint} is an empty file and not a socket: its file system (${noSockets}) does not seem to support sockets, and left the file when one was wanted`;
    if (kind === 'socket')
      return proven
        ? `${endpoint} is a leftover file: no process has this socket open`
        : `${endpoint} is the file of a socket, and this user cannot see whether a program has it open`;
    if (kind === 'directory') return `${endpoint} is ${empty === true ? 'an empty' : 'a'} directory, not a socket`;
    return `${endpoint} is a file that is not a socket`;
  },
  remedies({ kind, path, uid, proven, empty, noSockets }, question): Remedy[] {
    if (noSockets !== null) return [otherPath];
    const mine = question.facts.asker.uid === 0 || uid === question.facts.asker.uid;
    const remedy = { remedy: 'remove-file', args: { path } } as const;
    if (kind === 'socket')
      return [
        {
          ...remedy,
          sentence: proven ? 'Remove the leftover file' : 'Check as root, and remove the file if it is a leftover',
          command: rebindFree(question, mine),
          automatic: mine && proven,
        },
      ];
    const [sentence, command] =
      kind === 'directory' && empty === true
        ? [
            'Remove the empty directory. A container engine creates one where a bind mount names a path that does not exist',
            'rmdir',
          ]
        : ['Look at the file, then move it or use another path', 'ls -ld'];
    return [{ ...remedy, sentence, command: `${command} ${shellWord(path)}`, automatic: false }];
  },
  stages: [
    {
      title: 'a Node server was killed and left its file',
      needs: [],
      async stage(stage) {
        const path = `${stage.directory()}/app.sock`;
        const server = await stage.nodeServer({ path });
        await server.kill();
        return stage.staged({
          request: stage.unix(path),
          description: `a Node server on ${path} was killed, and the file is still there`,
        });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['remove-file'] },
    },
    {
      title: 'a regular file stands at the path',
      needs: [],
      async stage(stage) {
        const path = stage.file('app.sock', 'not a socket\n');
        return stage.staged({ request: stage.unix(path), description: `${path} is a regular file` });
      },
      expect: { bindable: false, errno: 'EADDRINUSE', remedies: ['remove-file'] },
    },
  ],
});
