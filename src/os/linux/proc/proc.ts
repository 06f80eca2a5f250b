/**
 * Reading /proc (proc(5)): small, bounded, and never surprised that a process is gone.
 * Its root is an argument, so that a recorded tree can be read in a test.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync, statSync } from 'node:fs';

/** More than any file of /proc that is read whole, except the socket tables. */
const defaultLimit = 65_536;

/** Why something could not be read: `ENOENT` and `ESRCH` say that it is gone, `EACCES` and `EPERM` that we may not. */
export class ProcError extends Error {
  override readonly name = 'ProcError';
  readonly code: string;

  constructor(path: string, cause: unknown) {
    const code = codeOf(cause);
    super(`Cannot read ${path}: ${code}`, { cause });
    this.code = code;
  }
}

/** A /proc. Paths are relative to its root; every method throws a `ProcError` and nothing else. */
export interface Proc {
  readonly root: string;
  /** At most `limit` bytes of a file. @default 64 kB */
  read(path: string, limit?: number): Buffer;
  /** The same as text; bytes that are no UTF-8 become U+FFFD. */
  text(path: string, limit?: number): string;
  link(path: string): string;
  list(path: string): string[];
  /** The owner of a file or directory; of `/proc/PID` the effective user of the process, or root when it may not be traced. */
  owner(path: string): number;
  /** How many threads a process has, also ended ones. */
  threads(pid: number): number;
  /** Numbers of every process that is shown to us. */
  pids(): number[];
}

/**
 * @example
 * ```ts
 * openProc('/proc').text('sys/kernel/osrelease'); // '6.18.44\n'
 * ```
 */
export function openProc(root: string): Proc {
  const guarded = <T>(path: string, read: (full: string) => T): T => {
    try {
      return read(`${root}/${path}`);
    } catch (error) {
      throw new ProcError(path, error);
    }
  };
  const read = (path: string, limit = defaultLimit): Buffer =>
    guarded(path, (full) => readAtMost(full, limit, (bytes) => Buffer.from(bytes)));
  const text = (path: string, limit = defaultLimit): string =>
    guarded(path, (full) => readAtMost(full, limit, (bytes) => bytes.toString('utf8')));
  const list = (path: string): string[] => guarded(path, (full) => readdirSync(full));
  return {
    root,
    read,
    text,
    link: (path) => guarded(path, (full) => readlinkSync(full)),
    list,
    owner: (path) => guarded(path, (full) => statSync(full).uid),
    // The links of a directory are its two names and its folders (proc_task_getattr in fs/proc/base.c).
    threads: (pid) => guarded(`${pid}/task`, (full) => statSync(full).nlink - 2),
    pids: () => {
      const pids: number[] = [];
      for (const name of list('')) if (isNumber(name)) pids.push(Number(name));
      return pids;
    },
  };
}

/** What a file is read into, one after the other: one look reads hundreds. */
let scratch: Buffer | undefined;

/** Reads a file whose size the kernel does not tell beforehand. @param use Must not keep the bytes. */
function readAtMost<T>(path: string, limit: number, use: (bytes: Buffer) => T): T {
  const fd = openSync(path, 'r');
  try {
    scratch ??= Buffer.allocUnsafeSlow(4096);
    let buffer = scratch;
    let length = 0;
    for (;;) {
      const got = readSync(fd, buffer, length, Math.min(limit, buffer.length) - length, null);
      length += got;
      if (got === 0 || length === limit) return use(buffer.subarray(0, length));
      if (length === buffer.length) {
        const larger = Buffer.allocUnsafe(Math.min(limit, buffer.length * 4));
        buffer.copy(larger);
        buffer = larger;
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** True for a name of decimal digits only, as processes and descriptors have. */
export function isNumber(name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (code < 48 || code > 57) return false;
  }
  return name.length > 0;
}

/** True for what a process that exited leaves, and false for what keeps us from reading one that runs. */
export function isGone(code: string): boolean {
  return code === 'ENOENT' || code === 'ESRCH' || code === 'ENOTDIR';
}

function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return typeof code === 'string' ? code : 'EIO';
}

/** Runs a read and gives null when it fails; other errors than a `ProcError` are bugs and pass. */
export function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProcError) return null;
    throw error;
  }
}
