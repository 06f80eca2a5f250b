/**
 * Taking away what nobody owns: connections that ended, and the file of a Unix socket that nobody has open.
 */
import type { InetSocket } from '../model/facts.ts';
import { pathObjection } from '../model/path-trust.ts';
import type { ActResult } from '../model/step.ts';
import { isNativeError } from '../os/errors.ts';
import type { Directory } from '../os/files.ts';
import type { Os } from '../os/os.ts';

/** Destroys exactly these sockets, each by the kernel's own name for it. */
export function destroySockets(os: Os, sockets: readonly InetSocket[]): ActResult {
  for (const socket of sockets) {
    const result = os.sockets.destroy(socket);
    if (typeof result !== 'string') return { outcome: 'failed', why: reason(result.why) };
  }
  return { outcome: 'done', why: null };
}

function reason(code: string): string {
  if (code === 'EPERM') return 'EPERM: needs CAP_NET_ADMIN; run this as root';
  if (code === 'EOPNOTSUPP') return 'EOPNOTSUPP: this kernel was built without CONFIG_INET_DIAG_DESTROY';
  return code;
}

/** As often as the file is moved aside under a name that somebody else has, too. */
const mostNames = 8;
let names = 0;

/**
 * Removes the file of a Unix socket, if the kernel says that no process has its socket open.
 *
 * Everything happens in a directory that is held open and that no less privileged user can exchange. The file is moved aside first and asked
 * about again there: a server that came in the meantime gets it back, instead of losing it between a look and a removal.
 *
 * @param inode The file that was meant, or null for whichever is there.
 */
export function removeSocketFile(os: Os, path: string, inode: number | null): ActResult {
  const uid = process.geteuid?.() ?? 0;
  const directory = os.files.openDirectory(path, (step) => pathObjection(step, { uid }));
  if ('why' in directory) {
    if (directory.why === 'ENOENT') return gone;
    return { outcome: 'refused', why: directory.why };
  }
  try {
    return removeFrom(directory, inode);
  } catch (error) {
    if (!isNativeError(error)) throw error;
    if (error.code === 'ENOENT') return gone;
    return { outcome: 'failed', why: `${error.code}: the file cannot be removed` };
  } finally {
    directory.close();
  }
}

const gone: ActResult = { outcome: 'skipped', why: 'it is gone already' };

function removeFrom(directory: Directory, inode: number | null): ActResult {
  const { name } = directory;
  const before = directory.identify(name);
  if (before === null) return gone;
  if (!before.isSocket) return { outcome: 'refused', why: 'it is not a socket' };
  if (inode !== null && before.inode !== String(inode)) return { outcome: 'refused', why: 'it is another file by now' };
  const first = lifeOf(directory, name);
  if (first !== null) return first;
  const aside = moveAside(directory);
  if (aside === null) return { outcome: 'failed', why: 'EEXIST: the file cannot be moved aside' };
  const moved = directory.identify(aside);
  const same = moved?.inode === before.inode && moved.device === before.device;
  const second = same ? lifeOf(directory, aside) : other;
  if (second === null) {
    directory.remove(aside);
    return { outcome: 'done', why: null };
  }
  // Somebody else may have the name by now, whose file is newer: then this one stays where it is.
  if (moved !== null) directory.rename(aside, name);
  return second;
}

const other: ActResult = { outcome: 'refused', why: 'it is another file by now' };

function moveAside(directory: Directory): string | null {
  for (let attempt = 0; attempt < mostNames; attempt++) {
    const aside = `.rebind-${process.pid}-${++names}`;
    if (directory.rename(directory.name, aside)) return aside;
  }
  return null;
}

/** Null when nobody has the socket open. */
function lifeOf(directory: Directory, entry: string): ActResult | null {
  const answer = directory.isOpen(entry);
  if (answer.open === false) return null;
  if (answer.open === true) return { outcome: 'refused', why: 'a program has it open' };
  return { outcome: 'refused', why: `${answer.why}: it cannot be told whether a program has it open` };
}
