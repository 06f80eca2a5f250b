/**
 * Which sockets a process has open: the links of /proc/PID/fd (proc_pid_fd(5)).
 *
 * A link costs the kernel about 4 µs and a name in the listing about 1 µs, and most of the time of a search is spent here.
 * So a list is taken in parts, links are read relative to their directory into one buffer, and nothing throws.
 * Without koffi Node reads them, more slowly.
 */
import { constants, readlinkSync } from 'node:fs';
import { littleEndian } from '../../byte-order.ts';
import { hasLibc, type Libc, libc } from '../calls/libc.ts';
import { isGone, isNumber, type Proc, ProcError } from './proc.ts';

/**
 * `looked`: every asked descriptor was read. `partly`: only the first of them were asked for, and there are more.
 * `empty`: it shows none, as a kernel thread, or a process whose first thread has ended (place.ts).
 * `denied`: the process is there and we may not look. `failed`: we could not, for want of descriptors for example. `gone`: it is not there any more.
 */
export type Look = 'looked' | 'partly' | 'empty' | 'denied' | 'failed' | 'gone';

/** The first 40 or so, all, or just these. */
export type Which = 'first' | 'all' | readonly number[];

export type OnSocket = (inode: number, descriptor: number) => void;

export interface SocketFinder {
  /** Calls back for every open socket. @param place Of the process below /proc, its number mostly. */
  sockets(place: string, which: Which, onSocket: OnSocket): Look;
  /** How many links have been read. */
  readonly count: number;
}

const EPERM = 1;
const ENOENT = 2;
const ESRCH = 3;
const EACCES = 13;
const ENOTDIR = 20;

/** `socket:[4294967295]` and more than any other name that matters. */
const linkSize = 64;
const prefix = 'socket:[';

// struct linux_dirent64 (getdents(2)): inode u64, offset s64, length u16, type u8, name.
const entry = { length: 16, name: 19 } as const;
/** The kernel lists descriptors in ascending order, 24 bytes each. */
const firstSize = 1_024;
const allSize = 32_768;
const nothingFits = 8;

export function openSocketFinder(proc: Proc): SocketFinder {
  if (!hasLibc()) return slow(proc);
  const c = libc();
  return c.getdents64 === null ? slow(proc) : fast(proc, c, c.getdents64);
}

function fast(proc: Proc, c: Libc, getdents64: NonNullable<Libc['getdents64']>): SocketFinder {
  const link = Buffer.alloc(linkSize);
  const entries = Buffer.alloc(allSize);
  const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
  let count = 0;

  /** Reads one link; false when it is forbidden. Root without CAP_SYS_PTRACE may list the links of a process with more rights, and read none. */
  const readLink = (directory: number, name: Buffer, descriptor: number, onSocket: OnSocket): boolean => {
    count++;
    const length = c.readlinkat(directory, name, link, linkSize);
    // Anything else that fails was closed since it was listed: the same as never opened.
    if (length < 0) return !isDenial(c.errno());
    const inode = inodeIn(link, length);
    if (inode !== null) onSocket(inode, descriptor);
    return true;
  };

  /** Reads the listing once, in a buffer of this size, and every link in it. */
  const readPart = (directory: number, size: number, onSocket: OnSocket): 'more' | 'end' | Failure => {
    const length = getdents64(directory, entries, size);
    // A process that exited lists nothing more.
    if (length < 0) return failureOf(c.errno()) ?? 'end';
    for (let at = 0; at + entry.name < length; ) {
      const end = at + view.getUint16(at + entry.length, littleEndian);
      const descriptor = numberAt(entries, at + entry.name);
      if (descriptor !== null && !readLink(directory, entries.subarray(at + entry.name), descriptor, onSocket))
        return 'denied';
      if (end <= at) break;
      at = end;
    }
    return length > 0 ? 'more' : 'end';
  };

  return {
    get count() {
      return count;
    },
    sockets(place, which, onSocket) {
      const directory = c.open(`${proc.root}/${place}/fd`, constants.O_RDONLY | constants.O_DIRECTORY);
      if (directory < 0) return failureOf(c.errno()) ?? 'gone';
      const before = count;
      try {
        if (which === 'first') {
          const part = readPart(directory, firstSize, onSocket);
          if (part === 'denied' || part === 'failed') return part;
          // No entry fits: an error when there is one more, and 0 at the end.
          if (getdents64(directory, entries, nothingFits) !== 0) return 'partly';
          return count === before ? 'empty' : 'looked';
        }
        if (which === 'all') {
          let part: ReturnType<typeof readPart>;
          do part = readPart(directory, allSize, onSocket);
          while (part === 'more');
          if (part === 'denied' || part === 'failed') return part;
          return count === before ? 'empty' : 'looked';
        }
        for (const descriptor of which)
          if (!readLink(directory, Buffer.from(`${descriptor}\0`), descriptor, onSocket)) return 'denied';
        return 'looked';
      } finally {
        c.close(directory);
      }
    },
  };
}

function slow(proc: Proc): SocketFinder {
  const most = 40;
  let count = 0;
  return {
    get count() {
      return count;
    },
    sockets(place, which, onSocket) {
      const listed = list(proc, place);
      if (typeof listed === 'string') return listed;
      if (listed.length === 0) return 'empty';
      const wanted = which === 'first' ? listed.slice(0, most) : which === 'all' ? listed : which.map(String);
      for (const name of wanted) {
        count++;
        let inode: number | null;
        try {
          inode = inodeOf(readlinkSync(`${proc.root}/${place}/fd/${name}`));
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (code === 'EACCES' || code === 'EPERM') return 'denied';
          // Closed since it was listed: the same as never opened.
          continue;
        }
        if (inode !== null) onSocket(inode, Number(name));
      }
      return wanted.length < listed.length && which === 'first' ? 'partly' : 'looked';
    },
  };
}

function list(proc: Proc, place: string): string[] | Look {
  try {
    return proc.list(`${place}/fd`).filter(isNumber);
  } catch (error) {
    if (!(error instanceof ProcError)) throw error;
    if (error.code === 'EACCES' || error.code === 'EPERM') return 'denied';
    return isGone(error.code) ? 'gone' : 'failed';
  }
}

type Failure = 'denied' | 'failed';

/** Null when the process is gone. */
function failureOf(errno: number): Failure | null {
  if (isDenial(errno)) return 'denied';
  return errno === ENOENT || errno === ESRCH || errno === ENOTDIR ? null : 'failed';
}

function isDenial(errno: number): boolean {
  return errno === EACCES || errno === EPERM;
}

/** The number that begins here and ends with NUL, or null for `.` and `..`. */
function numberAt(bytes: Buffer, at: number): number | null {
  let value = 0;
  let index = at;
  for (; ; index++) {
    const digit = (bytes[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return index === at ? null : value;
}

/** The same as `inodeOf` without making a text: most links are no sockets, and there may be 100,000. */
function inodeIn(bytes: Buffer, length: number): number | null {
  // 's' and '[': every other kind of file has another letter at one of the two places.
  if (length < prefix.length + 2 || bytes[0] !== 0x73 || bytes[prefix.length - 1] !== 0x5b) return null;
  return inodeOf(bytes.toString('latin1', 0, length));
}

/** The number in `socket:[123]`, or null for another kind of file. */
export function inodeOf(link: string): number | null {
  if (!link.startsWith(prefix) || !link.endsWith(']')) return null;
  const digits = link.slice(prefix.length, -1);
  return isNumber(digits) && digits.length <= 15 ? Number(digits) : null;
}
