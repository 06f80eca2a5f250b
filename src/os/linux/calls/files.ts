/**
 * Directories held open by O_PATH, and the files of Unix sockets in them (openat(2), unlinkat(2), renameat2(2)).
 */
import { closeSync, constants, fstatSync } from 'node:fs';
import { NativeError } from '../../errors.ts';
import type { Directory, FileIdentity, Files, PathStep } from '../../files.ts';
import { readUnmappedUid } from '../proc/unmapped.ts';
import { check, libc } from './libc.ts';
import { whoHasFile } from './unix-file-owner.ts';

// include/uapi/asm-generic/fcntl.h; what differs on other architectures comes from Node.
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const AT_FDCWD = -100;
const RENAME_NOREPLACE = 1;
const EEXIST = 17;
const EINVAL = 22;
const ENOSYS = 38;
const ELOOP = 40;
const ENOTDIR = 20;
/** As many links as the kernel itself follows (MAXSYMLINKS). */
const mostLinks = 40;
const longestLink = 4096;

export const files: Files = { openDirectory };

function openDirectory(path: string, objection: (step: PathStep) => string | null): Directory | { why: string } {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  const name = parts.pop();
  // The kernel would follow a link that is named with a slash behind it.
  if (name === undefined || name === '..' || path.endsWith('/')) return { why: 'EINVAL' };
  let links = 0;
  const unmapped = readUnmappedUid();
  let fd = openAt(AT_FDCWD, path.startsWith('/') ? '/' : '.');
  let where = path.startsWith('/') ? '/' : '.';
  try {
    for (;;) {
      const why = objection(stepOf(fd, 'directory', where, unmapped));
      if (why !== null) return refuse(fd, why);
      const part = parts.shift();
      if (part === undefined) break;
      const next = openAt(fd, part);
      const stat = fstatSync(next);
      const at = where === '/' ? `/${part}` : `${where}/${part}`;
      if (stat.isSymbolicLink()) {
        try {
          const objected = objection(stepOf(next, 'link', at, unmapped));
          if (objected !== null) return refuse(fd, objected);
          if (++links > mostLinks) throw new NativeError('openat', ELOOP);
          const target = readLink(next);
          parts.unshift(...target.split('/').filter((each) => each !== '' && each !== '.'));
          if (target.startsWith('/')) {
            const root = openAt(AT_FDCWD, '/');
            closeSync(fd);
            fd = root;
            where = '/';
          }
        } finally {
          closeSync(next);
        }
        continue;
      }
      closeSync(fd);
      fd = next;
      where = at;
      if (!stat.isDirectory()) throw new NativeError('openat', ENOTDIR);
    }
  } catch (error) {
    closeSync(fd);
    if (error instanceof NativeError) return { why: error.code };
    throw error;
  }
  return directory(fd, name);
}

function refuse(fd: number, why: string): { why: string } {
  closeSync(fd);
  return { why };
}

function directory(fd: number, name: string): Directory {
  const close = (): void => closeSync(fd);
  return {
    name,
    identify: (entry) => identify(fd, entry),
    isOpen: (entry) => {
      const file = openAt(fd, entry);
      try {
        return whoHasFile(`/proc/self/fd/${file}`);
      } finally {
        closeSync(file);
      }
    },
    rename: (from, to) => moved(fd, from, to),
    link: (from, to) => linked(fd, from, to),
    remove: (entry) => {
      check('unlinkat', libc().unlinkat(fd, entry, 0));
    },
    close,
    [Symbol.dispose]: close,
  };
}

function identify(fd: number, entry: string): FileIdentity | null {
  let file: number;
  try {
    file = openAt(fd, entry);
  } catch (error) {
    if (error instanceof NativeError && error.code === 'ENOENT') return null;
    throw error;
  }
  try {
    const stat = fstatSync(file, { bigint: true });
    return { isSocket: stat.isSocket(), device: String(stat.dev), inode: String(stat.ino) };
  } finally {
    closeSync(file);
  }
}

function moved(fd: number, from: string, to: string): boolean {
  const { renameat2, errno } = libc();
  if (renameat2 !== null && renameat2(fd, from, fd, to, RENAME_NOREPLACE) === 0) return true;
  const code = renameat2 === null ? ENOSYS : errno();
  if (code === EEXIST) return false;
  // A file system without the flag, or a kernel before 3.15.
  if (code !== ENOSYS && code !== EINVAL) throw new NativeError('renameat2', code);
  if (!linked(fd, from, to)) return false;
  check('unlinkat', libc().unlinkat(fd, from, 0));
  return true;
}

function linked(fd: number, from: string, to: string): boolean {
  if (libc().linkat(fd, from, fd, to, 0) === 0) return true;
  const code = libc().errno();
  if (code === EEXIST) return false;
  throw new NativeError('linkat', code);
}

/** Never follows a link, and opens nothing: O_PATH wakes no device and no FIFO. */
function openAt(at: number, path: string): number {
  const fd = libc().openat(at, path, O_PATH | constants.O_NOFOLLOW | O_CLOEXEC);
  if (fd === -1) throw new NativeError('openat', libc().errno());
  return fd;
}

function readLink(link: number): string {
  const target = Buffer.alloc(longestLink);
  // An empty path means the link that the descriptor itself is (readlinkat(2), Linux 2.6.39).
  const length = check('readlinkat', libc().readlinkat(link, Buffer.from([0]), target, target.length));
  return target.toString('utf8', 0, length);
}

function stepOf(fd: number, kind: PathStep['kind'], path: string, unmapped: number | null): PathStep {
  const { uid, gid, mode } = fstatSync(fd);
  return { kind, path, uid: uid === unmapped ? null : uid, gid, mode: mode & 0o7777 };
}
