/**
 * Every system call that rebind makes itself, declared once. Loaded at the first call, never at import.
 * Those that glibc 2.35 and older has no wrapper for are made by number (numbers.ts).
 */
import { NativeError, UnsupportedError } from '../../errors.ts';
import { type Koffi, loadKoffi } from '../../koffi.ts';
import { callNumber } from './numbers.ts';

type Call = (...args: unknown[]) => number;
/** The raw calls: they return what the C function returns; `errno()` is valid until the next call. */
export interface Libc {
  errno(): number;
  socket: Call;
  bind: Call;
  listen: Call;
  connect: Call;
  accept4: Call;
  shutdown: Call;
  close: Call;
  getsockname: Call;
  getpeername: Call;
  getsockopt: Call;
  setsockopt: Call;
  sendto: Call;
  recv: Call;
  sendmsg: Call;
  recvmsg: Call;
  fcntl: Call;
  flock: Call;
  poll: Call;
  eventfd: Call;
  pipe2: Call;
  write: Call;
  read: Call;
  prctl: Call;
  setsid: Call;
  setns: Call;
  getsid: Call;
  waitpid: Call;
  inotify_init1: Call;
  inotify_add_watch: Call;
  inotify_rm_watch: Call;
  open: Call;
  openat: Call;
  unlinkat: Call;
  linkat: Call;
  /** Null where its number is not known. */
  renameat2: Call | null;
  readlinkat: Call;
  /** Null where its number is not known. */
  getdents64: ((fd: number, buffer: Buffer, size: number) => number) | null;
  ioctl: Call;
  if_nametoindex: Call;
  if_indextoname: (index: number, name: Buffer) => unknown;
  pidfdOpen(pid: number, flags: number): number;
  pidfdGetfd(pidfd: number, descriptor: number, flags: number): number;
  /** @param flags Of include/uapi/linux/pidfd.h. @default 0 */
  pidfdSendSignal(pidfd: number, signal: number, flags?: number): number;
  /** Where a buffer lies, for structures that point to others. Keep the buffer referenced until after the call. */
  address(buffer: Buffer): bigint;
  /** Calls back when the descriptor has input, or room for output, or an error, from Node's own event loop (uv_poll_t): no thread, no polling. The loop must not watch the same descriptor elsewhere. */
  watch(fd: number, onReady: () => void, what?: 'readable' | 'writable'): Watch;
}

/** A descriptor in the event loop. */
export interface Watch {
  /** Stops at once; the descriptor may be closed afterwards. */
  close(): void;
  /** Lets the process end although this is watched. */
  unref(): void;
}

let loaded: Libc | undefined;
let failure: UnsupportedError | undefined;

/**
 * The C library, loaded at the first call.
 *
 * @throws {UnsupportedError} when koffi or its binary for this platform cannot be loaded; always the same error, so that callers can fall back.
 */
export function libc(): Libc {
  if (loaded !== undefined) return loaded;
  if (failure !== undefined) throw failure;
  try {
    loaded = declare(loadKoffi());
    return loaded;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const refusal = new UnsupportedError(`Cannot load koffi, which makes the system calls: ${text}`, { cause: error });
    // dlopen(3) tells only in words that there were no descriptors or no memory, which may pass.
    if (!/Too many open files|Cannot allocate memory|EMFILE|ENFILE|ENOMEM/.test(text)) failure = refusal;
    throw refusal;
  }
}

/** True when the C library can be called; loads it. */
export function hasLibc(): boolean {
  return loaded !== undefined || whyNoLibc() === null;
}

/** Why the C library cannot be called, a sentence without a full stop; null when it can. */
export function whyNoLibc(): string | null {
  try {
    libc();
    return null;
  } catch (error) {
    if (error instanceof UnsupportedError) return error.message;
    throw error;
  }
}

/**
 * Turns a result of -1 into a `NativeError`.
 *
 * @throws {NativeError}
 */
export function check(syscall: string, result: number): number {
  if (result === -1) throw new NativeError(syscall, libc().errno());
  return result;
}

function declare(koffi: Koffi): Libc {
  // A null path looks symbols up in the running program, which is linked with glibc or musl alike.
  const library = koffi.load(null);
  const fn = (name: string, result: string, args: string[]): Call =>
    library.func(name, result, args) as unknown as Call;
  const getdents = fn('syscall', 'long', ['long', 'int', 'void *', 'size_t']);
  const getdentsNumber = callNumber('getdents64');
  const renameat2 = fn('syscall', 'long', ['long', 'int', 'str', 'int', 'str', 'uint']);
  const renameNumber = callNumber('renameat2');
  const pidfdOpen = fn('syscall', 'long', ['long', 'int', 'uint']);
  const pidfdGetfd = fn('syscall', 'long', ['long', 'int', 'int', 'uint']);
  const pidfdSendSignal = fn('syscall', 'long', ['long', 'int', 'int', 'void *', 'uint']);
  return {
    errno: () => koffi.errno(),
    socket: fn('socket', 'int', ['int', 'int', 'int']),
    bind: fn('bind', 'int', ['int', 'void *', 'uint32']),
    listen: fn('listen', 'int', ['int', 'int']),
    connect: fn('connect', 'int', ['int', 'void *', 'uint32']),
    accept4: fn('accept4', 'int', ['int', 'void *', 'void *', 'int']),
    shutdown: fn('shutdown', 'int', ['int', 'int']),
    close: fn('close', 'int', ['int']),
    getsockname: fn('getsockname', 'int', ['int', 'void *', 'void *']),
    getpeername: fn('getpeername', 'int', ['int', 'void *', 'void *']),
    getsockopt: fn('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']),
    setsockopt: fn('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint32']),
    sendto: fn('sendto', 'intptr_t', ['int', 'void *', 'size_t', 'int', 'void *', 'uint32']),
    recv: fn('recv', 'intptr_t', ['int', 'void *', 'size_t', 'int']),
    sendmsg: fn('sendmsg', 'intptr_t', ['int', 'void *', 'int']),
    recvmsg: fn('recvmsg', 'intptr_t', ['int', 'void *', 'int']),
    fcntl: fn('fcntl', 'int', ['int', 'int', 'long']),
    flock: fn('flock', 'int', ['int', 'int']),
    poll: fn('poll', 'int', ['void *', 'ulong', 'int']),
    eventfd: fn('eventfd', 'int', ['uint', 'int']),
    pipe2: fn('pipe2', 'int', ['void *', 'int']),
    write: fn('write', 'intptr_t', ['int', 'void *', 'size_t']),
    read: fn('read', 'intptr_t', ['int', 'void *', 'size_t']),
    prctl: fn('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']),
    setsid: fn('setsid', 'int', []),
    setns: fn('setns', 'int', ['int', 'int']),
    getsid: fn('getsid', 'int', ['int']),
    waitpid: fn('waitpid', 'int', ['int', 'void *', 'int']),
    inotify_init1: fn('inotify_init1', 'int', ['int']),
    inotify_add_watch: fn('inotify_add_watch', 'int', ['int', 'str', 'uint32']),
    inotify_rm_watch: fn('inotify_rm_watch', 'int', ['int', 'int']),
    open: fn('open', 'int', ['str', 'int']),
    openat: fn('openat', 'int', ['int', 'str', 'int']),
    unlinkat: fn('unlinkat', 'int', ['int', 'str', 'int']),
    linkat: fn('linkat', 'int', ['int', 'str', 'int', 'str', 'int']),
    renameat2: renameNumber === null ? null : (...args) => renameat2(renameNumber, ...args),
    readlinkat: fn('readlinkat', 'intptr_t', ['int', 'void *', 'void *', 'size_t']),
    getdents64: getdentsNumber === null ? null : (fd, buffer, size) => getdents(getdentsNumber, fd, buffer, size),
    ioctl: fn('ioctl', 'int', ['int', 'ulong', 'long']),
    if_nametoindex: fn('if_nametoindex', 'uint', ['str']),
    if_indextoname: library.func('if_indextoname', 'void *', ['uint', 'void *']) as unknown as Libc['if_indextoname'],
    address: (buffer) => koffi.address(buffer),
    watch: (fd, onReady, what = 'readable') =>
      koffi.node.poll(fd, { [what]: true }, () => {
        onReady();
        // Node 26 does not run what a promise has waiting after a native callback; it does after an immediate.
        setImmediate(() => {});
      }),
    pidfdOpen: (pid, flags) => pidfdOpen(callNumber('pidfd_open'), pid, flags),
    pidfdGetfd: (pidfd, descriptor, flags) => pidfdGetfd(callNumber('pidfd_getfd'), pidfd, descriptor, flags),
    pidfdSendSignal: (pidfd, signal, flags = 0) =>
      pidfdSendSignal(callNumber('pidfd_send_signal'), pidfd, signal, null, flags),
  };
}
