/**
 * Writing to a log that may be full, slow, stopped or gone, without ever waiting for it.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import { littleEndian } from '../../byte-order.ts';
import { NativeError } from '../../errors.ts';
import type { Streams } from '../../streams.ts';
import { check, hasLibc, libc } from './libc.ts';

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const POLLOUT = 4;
const O_CLOEXEC = 0o2000000;
/** A pipe that poll(2) calls writable has room for so much (PIPE_BUF, pipe(7)). */
const pipeBuffer = 4_096;

export const streams: Streams = {
  kindOf(fd) {
    try {
      const stat = fstatSync(fd);
      if (stat.isFile()) return 'file';
      if (stat.isFIFO()) return 'pipe';
      if (stat.isSocket()) return 'socket';
      // Loading node:tty takes a millisecond, and loads the streams of Node.
      return stat.isCharacterDevice() && process.getBuiltinModule('node:tty').isatty(fd) ? 'terminal' : 'other';
    } catch {
      return null;
    }
  },
  openWithoutWaiting(fd) {
    // A socket has no such door (ENXIO), and a pipe of another user is closed to us.
    return open(fd, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  },
  pipe() {
    const ends = new Int32Array(2);
    check('pipe2', libc().pipe2(ends, O_CLOEXEC));
    const [readable = -1, writable = -1] = ends;
    return { readable, writable };
  },
  openToRead(fd) {
    return open(fd, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  },
  writeWithoutWaiting(fd, bytes) {
    const kind = streams.kindOf(fd);
    if (kind === 'socket' && hasLibc()) {
      const sent = libc().sendto(fd, Buffer.from(bytes), bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL, null, 0);
      return sent >= 0 ? sent : new NativeError('send', libc().errno()).code;
    }
    if ((kind === 'pipe' || kind === 'terminal') && hasLibc() && !isWritable(fd)) return 'EAGAIN';
    try {
      return writeSync(fd, bytes, 0, kind === 'pipe' ? Math.min(bytes.length, pipeBuffer) : bytes.length);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code ?? 'EIO';
    }
  },
};

function open(fd: number, flags: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, flags);
  } catch {
    return null;
  }
}

function isWritable(fd: number): boolean {
  const entry = Buffer.alloc(8);
  const view = new DataView(entry.buffer, entry.byteOffset);
  view.setInt32(0, fd, littleEndian);
  view.setInt16(4, POLLOUT, littleEndian);
  return libc().poll(entry, 1, 0) > 0;
}
