import { shellWord } from '../../model/text.ts';
import { cause } from '../cause.ts';
import { asked, onOtherFileSystem } from '../shared/words.ts';

/** A Unix socket whose file cannot be made. */
export default cause({
  id: 'path-not-here',
  title: 'The file of the Unix socket cannot be created there',
  on: ['linux', 'darwin'],
  page: {
    see: '`listen EACCES`, `ENOENT`, `ENOTDIR`, `EROFS`, `EPERM` or `EINVAL` with the path of a Unix socket. Node also reports a missing directory as `EACCES`.',
    why: 'Binding a Unix socket makes a file, so the directory must exist and this user must be allowed to write there. Directories below /run and /var/run are gone after every reboot. A path may have 107 bytes at most: Node 24 and later refuse a longer one with `EINVAL`, older versions cut it off silently. Some file systems hold no sockets and answer `EPERM`: vfat, exFAT, shared folders of virtual machines, and those of the kernel such as /sys.',
    now: 'Make the directory, or use a path where you may write, such as one below `$XDG_RUNTIME_DIR`.',
    prevent:
      'In a systemd unit, `RuntimeDirectory=app` makes /run/app with the right owner before each start. Do not rely on directories in /run that somebody made by hand.',
  },
  recognise(question) {
    const { request, facts, errno } = question;
    const file = facts.unixFile;
    if (request.endpoint.protocol !== 'unix' || file === null || errno === 'EADDRINUSE') return null;
    const mayNotHold = file.holdsSockets === null && file.creatable;
    if (errno === null ? file.cutTo === null && !mayNotHold : file.creatable) return null;
    const { path } = request.endpoint;
    return {
      endpoint: asked(question),
      path,
      errno,
      bytes: new TextEncoder().encode(path).length,
      cutTo: file.cutTo,
      directory: path.slice(0, path.lastIndexOf('/')) || (path.startsWith('/') ? '/' : '.'),
      fileSystem: file.fileSystem,
      user: facts.asker.user,
    };
  },
  say({ endpoint, errno, directory, user, bytes, cutTo, fileSystem }) {
    const cut =
      cutTo === null
        ? ''
        : `${endpoint} has ${bytes} bytes, and the path of a Unix socket at most 107: this Node cuts it off silently and uses ${cutTo}; Node 24 and later refuse it with EINVAL`;
    switch (errno) {
      case null:
        return cutTo === null
          ? `Whether the file system of ${directory} (${fileSystem ?? 'unknown'}) supports sockets is known only when one is created`
          : cut;
      case 'EPERM':
        return `${endpoint} cannot be created, because the file system of ${directory}${fileSystem === null ? '' : ` (${fileSystem})`} does not support sockets`;
      case 'EINVAL':
        return `${endpoint} has ${bytes} bytes, and the path of a Unix socket at most 107: Node 24 and later refuse it with EINVAL, older versions cut it off silently`;
      case 'ENOENT':
        return `${endpoint} cannot be created, because the directory ${directory} does not exist`;
      case 'ENOTDIR':
        return `${endpoint} cannot be created, because ${directory} is not a directory`;
      case 'EROFS':
        return `${endpoint} cannot be created, because ${directory} is on a read-only file system`;
      default:
        return `${endpoint} cannot be created, because user ${user} may not write to ${directory}`;
    }
  },
  remedies: ({ errno, directory, cutTo }) => [
    {
      remedy: 'use-address',
      sentence:
        errno === 'EINVAL' || cutTo !== null
          ? 'Use a path of at most 107 bytes, or one relative to the working directory of the server'
          : errno === 'ENOENT'
            ? `Make the directory ${directory}, or use a path in an existing directory`
            : errno === 'EPERM' || errno === null
              ? onOtherFileSystem
              : 'Use a path where this user may create files',
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
