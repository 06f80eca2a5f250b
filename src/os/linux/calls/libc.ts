/**
 * Every system call that rebind makes itself, declared once. Loaded at the first call, never at import.
 * Those that glibc 2.35 and older has no wrapper for are made by number (numbers.ts).
 */
import { NativeError, UnsupportedError } from '../../errors.ts';
import { type Koffi, loadKoffi } from '../../koffi.ts';
import { type CallName, callNumber } from './numbers.ts';

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
  _exit: Call;
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

/** What a C function returns and takes. */
type Signature = readonly [result: string, args: readonly string[]];

const signatures = {
  socket: ['int', ['int', 'int', 'int']],
  bind: ['int', ['int', 'void *', 'uint32']],
  listen: ['int', ['int', 'int']],
  connect: ['int', ['int', 'void *', 'uint32']],
  accept4: ['int', ['int', 'void *', 'void *', 'int']],
  shutdown: ['int', ['int', 'int']],
  close: ['int', ['int']],
  getsockname: ['int', ['int', 'void *', 'void *']],
  getpeername: ['int', ['int', 'void *', 'void *']],
  getsockopt: ['int', ['int', 'int', 'int', 'void *', 'void *']],
  setsockopt: ['int', ['int', 'int', 'int', 'void *', 'uint32']],
  sendto: ['intptr_t', ['int', 'void *', 'size_t', 'int', 'void *', 'uint32']],
  recv: ['intptr_t', ['int', 'void *', 'size_t', 'int']],
  sendmsg: ['intptr_t', ['int', 'void *', 'int']],
  recvmsg: ['intptr_t', ['int', 'void *', 'int']],
  fcntl: ['int', ['int', 'int', 'long']],
  flock: ['int', ['int', 'int']],
  poll: ['int', ['void *', 'ulong', 'int']],
  eventfd: ['int', ['uint', 'int']],
  pipe2: ['int', ['void *', 'int']],
  write: ['intptr_t', ['int', 'void *', 'size_t']],
  read: ['intptr_t', ['int', 'void *', 'size_t']],
  prctl: ['int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']],
  setsid: ['int', []],
  setns: ['int', ['int', 'int']],
  _exit: ['void', ['int']],
  getsid: ['int', ['int']],
  waitpid: ['int', ['int', 'void *', 'int']],
  inotify_init1: ['int', ['int']],
  inotify_add_watch: ['int', ['int', 'str', 'uint32']],
  inotify_rm_watch: ['int', ['int', 'int']],
  open: ['int', ['str', 'int']],
  openat: ['int', ['int', 'str', 'int']],
  unlinkat: ['int', ['int', 'str', 'int']],
  linkat: ['int', ['int', 'str', 'int', 'str', 'int']],
  readlinkat: ['intptr_t', ['int', 'void *', 'void *', 'size_t']],
  ioctl: ['int', ['int', 'ulong', 'long']],
  if_nametoindex: ['uint', ['str']],
  if_indextoname: ['void *', ['uint', 'void *']],
} as const satisfies Partial<Record<keyof Libc, Signature>>;

/** Each function is looked up when it is first used: an answer needs a dozen of them. */
function declare(koffi: Koffi): Libc {
  // A null path looks symbols up in the running program, which is linked with glibc or musl alike.
  const library = koffi.load(null);
  const fn = (name: string, [result, args]: Signature): Call => {
    try {
      return library.func(name, result, [...args]) as unknown as Call;
    } catch (error) {
      throw new UnsupportedError(`The C library has no ${name}`, { cause: error });
    }
  };
  const numbered = (name: CallName, ...args: string[]): Call | null => {
    const number = callNumber(name);
    if (number === null) return null;
    const call = fn('syscall', ['long', ['long', ...args]]);
    return (...given) => call(number, ...given);
  };
  const libc = {
    errno: () => koffi.errno(),
    address: (buffer: Buffer) => koffi.address(buffer),
    watch: (fd: number, onReady: () => void, what: 'readable' | 'writable' = 'readable') =>
      koffi.node.poll(fd, { [what]: true }, () => {
        onReady();
        // Node 26 does not run what a promise has waiting after a native callback; it does after an immediate.
        setImmediate(() => {});
      }),
  } as unknown as Libc;
  const atFirstUse = (name: string, make: () => unknown): void => {
    Object.defineProperty(libc, name, {
      configurable: true,
      get() {
        const value = make();
        Object.defineProperty(libc, name, { value });
        return value;
      },
    });
  };
  for (const [name, signature] of Object.entries(signatures)) atFirstUse(name, () => fn(name, signature));
  atFirstUse('getdents64', () => numbered('getdents64', 'int', 'void *', 'size_t'));
  atFirstUse('renameat2', () => numbered('renameat2', 'int', 'str', 'int', 'str', 'uint'));
  atFirstUse('pidfdOpen', () => numbered('pidfd_open', 'int', 'uint'));
  atFirstUse('pidfdGetfd', () => numbered('pidfd_getfd', 'int', 'int', 'uint'));
  atFirstUse('pidfdSendSignal', () => {
    const call = numbered('pidfd_send_signal', 'int', 'int', 'void *', 'uint');
    return (pidfd: number, signal: number, flags = 0) => call?.(pidfd, signal, null, flags);
  });
  return libc;
}
