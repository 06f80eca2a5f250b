import { cause } from '../cause.ts';
import { shellWord } from '../shared/remedies.ts';
import { asked } from '../shared/words.ts';

/** A Unix socket whose file cannot be made. */
export default cause({
  id: 'path-not-here',
  title: 'The file of the Unix socket cannot be made there',
  on: ['linux'],
  page: {
    see: '`listen EACCES`, `ENOENT`, `ENOTDIR` or `EROFS` with the path of a Unix socket. Node reports a missing directory as `EACCES`, too.',
    why: 'Binding a Unix socket makes a file, so the directory must exist and this user must be allowed to write there. Directories below /run and /var/run are gone after every start of the machine. A path may have 107 bytes at most.',
    now: 'Make the directory, or use a path where you may write, such as one below `$XDG_RUNTIME_DIR`.',
    prevent:
      'In a systemd unit, `RuntimeDirectory=app` makes /run/app with the right owner before each start. Do not rely on directories in /run that somebody made by hand.',
  },
  recognise(question) {
    const { request, facts, errno } = question;
    if (request.endpoint.protocol !== 'unix' || errno === null || errno === 'EADDRINUSE') return null;
    if (facts.unixFile === null || facts.unixFile.creatable) return null;
    const { path } = request.endpoint;
    return {
      endpoint: asked(question),
      path,
      errno,
      directory: path.slice(0, path.lastIndexOf('/')) || (path.startsWith('/') ? '/' : '.'),
      user: facts.asker.user,
    };
  },
  say({ endpoint, errno, directory, user }) {
    switch (errno) {
      case 'ENOENT':
        return `${endpoint} cannot be made, because the directory ${directory} does not exist`;
      case 'ENOTDIR':
        return `${endpoint} cannot be made, because ${directory} is not a directory`;
      case 'EROFS':
        return `${endpoint} cannot be made, because ${directory} is on a read-only file system`;
      case 'ENAMETOOLONG':
        return `${endpoint} is too long for the path of a Unix socket`;
      default:
        return `${endpoint} cannot be made, because user ${user} may not write in ${directory}`;
    }
  },
  remedies: ({ errno, directory }) => [
    {
      remedy: 'use-address',
      sentence:
        errno === 'ENAMETOOLONG'
          ? 'Use a shorter path, of 107 bytes at most, or one that is relative to the working directory of the server'
          : errno === 'ENOENT'
            ? `Make the directory ${directory}, or use a path in one that exists`
            : 'Use a path where this user may make files',
      command: errno === 'ENOENT' ? `mkdir -p ${shellWord(directory)}` : null,
      automatic: false,
      args: { directory },
    },
  ],
  stages: [
    {
      title: 'the directory of the path does not exist',
      needs: [],
      async stage(stage) {
        const path = `${stage.directory()}/missing/app.sock`;
        return stage.staged({ request: stage.unix(path), description: `the directory of ${path} does not exist` });
      },
      expect: { bindable: false, errno: 'ENOENT', remedies: ['use-address'] },
    },
    {
      title: 'an ordinary user wants a path in /run, where only root may make files',
      needs: ['unprivileged'],
      async stage(stage) {
        const path = `/run/rebind-stage-${stage.freePort()}.sock`;
        return stage.staged({
          request: stage.unix(path),
          description: `an ordinary user asks for ${path}`,
          ...stage.unprivileged(),
        });
      },
      expect: { bindable: false, errno: 'EACCES', remedies: ['use-address'] },
    },
    {
      title: 'the path is too long for a Unix socket',
      needs: [],
      async stage(stage) {
        const path = `${stage.directory()}/${'long-'.repeat(24)}app.sock`;
        return stage.staged({ request: stage.unix(path), description: `${path} has ${path.length} bytes` });
      },
      expect: { bindable: false, errno: 'ENAMETOOLONG', remedies: ['use-address'] },
    },
    {
      title: 'a part of the path is a file',
      needs: [],
      async stage(stage) {
        const path = `${stage.file('app', '')}/app.sock`;
        return stage.staged({ request: stage.unix(path), description: `${path} leads through a regular file` });
      },
      expect: { bindable: false, errno: 'ENOTDIR', remedies: ['use-address'] },
    },
  ],
});
