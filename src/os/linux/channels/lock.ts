/**
 * Locks between processes of one user: flock(2) on a file in the directory of its channels. The kernel releases it with its owner, and no other user can take it.
 */
import { closeSync, constants, fstatSync, openSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Lock } from '../../channels.ts';
import { check, libc } from '../calls/libc.ts';
import { findPlace, privatePart } from './directory.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = 11;
const EINTR = 4;

export function tryLock(name: string): Lock | null {
  const { directory } = findPlace();
  return directory === null ? { release: () => {} } : lockFile(join(privatePart(directory), `lock-${name}`));
}

function lockFile(path: string): Lock | null {
  for (;;) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      if (!takes(fd)) {
        closeSync(fd);
        return null;
      }
      if (isAt(fd, path)) return { release: () => release(fd, path) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    // Its last owner removed the file between our open and our lock.
    closeSync(fd);
  }
}

/** Removed while it is locked: who opened it meanwhile finds that the name leads elsewhere, and tries again. */
function release(fd: number, path: string): void {
  try {
    if (isAt(fd, path)) unlinkSync(path);
  } catch {
    // The directory was removed, or is read-only now; the lock goes with the descriptor either way.
  }
  closeSync(fd);
}

function takes(fd: number): boolean {
  for (;;) {
    const result = libc().flock(fd, LOCK_EX | LOCK_NB);
    if (result === 0) return true;
    const errno = libc().errno();
    if (errno === EAGAIN) return false;
    if (errno !== EINTR) check('flock', result);
  }
}

function isAt(fd: number, path: string): boolean {
  const ours = fstatSync(fd);
  const there = statSync(path, { throwIfNoEntry: false });
  return there !== undefined && there.ino === ours.ino && there.dev === ours.dev;
}
