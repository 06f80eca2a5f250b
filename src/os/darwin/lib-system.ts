/**
 * Every call of libSystem that rebind makes itself, declared once. Loaded at the first call, never at import; tests bring their own.
 */
import { UnsupportedError } from '../errors.ts';
import { type Koffi, loadKoffi } from '../koffi.ts';

/** A descriptor in the event loop. */
export interface Watch {
  /** Stops at once; the descriptor may be closed afterwards. */
  close(): void;
  /** Lets the process end although this is watched. */
  unref(): void;
}

/** The calls as the C functions are: -1 and `errno()`, unless something else is said. `errno()` is valid until the next call. */
export interface LibSystem {
  errno(): number;
  /** Calls that answer 0 for "none" and for an error alike set it only for the error. */
  clearErrno(): void;
  /** Nanoseconds since boot without those asleep (CLOCK_UPTIME_RAW): the clock of TCP's timers. */
  uptimeNs(): bigint;
  /** @param length The size of the buffer as 64 bits, and how many bytes there are afterwards. */
  sysctlbyname(name: string, old: Buffer | null, length: Buffer): number;
  sysctl(mib: readonly number[], old: Buffer | null, length: Buffer): number;
  /** Bytes, or 0 for an error. */
  proc_listpids(type: number, info: number, buffer: Buffer | null, size: number): number;
  /** Bytes, or 0 for an error. */
  proc_pidinfo(pid: number, flavor: number, argument: bigint, buffer: Buffer | null, size: number): number;
  /** Bytes, or 0 for an error. */
  proc_pidfdinfo(pid: number, fd: number, flavor: number, buffer: Buffer, size: number): number;
  /** Bytes, or 0 for an error. */
  proc_pidfileportinfo(pid: number, fileport: number, flavor: number, buffer: Buffer, size: number): number;
  /** Bytes, or 0 for an error. */
  proc_pidpath(pid: number, buffer: Buffer, size: number): number;
  /** 0 or an errno. Null before macOS 14.2, where there is none. */
  proc_signal_with_audittoken: ((token: Buffer, signal: number) => number) | null;
  kill(pid: number, signal: number): number;
  getsid(pid: number): number;
  /** The name of a user, from the directory; null when it has none. */
  user_from_uid(uid: number): string | null;
  kqueue(): number;
  kevent64(kq: number, changes: Buffer | null, changed: number, events: Buffer | null, room: number): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  accept(fd: number): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  getsockname(fd: number, address: Buffer, length: Buffer): number;
  getsockopt(fd: number, level: number, name: number, value: Buffer, length: Buffer): number;
  setsockopt(fd: number, level: number, name: number, value: Buffer, length: number): number;
  fcntl(fd: number, command: number, argument: number): number;
  if_nametoindex(name: string): number;
  /** False when there is no such interface. */
  if_indextoname(index: number, name: Buffer): boolean;
  /** Calls back when the descriptor has input, from Node's own event loop: no thread, no polling. The loop must not watch the same descriptor elsewhere. */
  watch(fd: number, onReadable: () => void): Watch;
}

/** time.h */
const CLOCK_UPTIME_RAW = 8;

let loaded: LibSystem | undefined;
let failed: UnsupportedError | undefined;

/**
 * libSystem, loaded at the first call.
 *
 * @throws {UnsupportedError} when koffi or its binary for this platform cannot be loaded; always the same error, so that callers can fall back.
 */
export function libSystem(): LibSystem {
  if (loaded !== undefined) return loaded;
  if (failed !== undefined) throw failed;
  try {
    loaded = declare(loadKoffi());
    return loaded;
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    failed = new UnsupportedError(`Cannot load koffi, which makes the system calls: ${text}`, { cause: error });
    throw failed;
  }
}

function declare(koffi: Koffi): LibSystem {
  // dlopen(3) of no path gives the running program, which is always linked with libSystem.
  const library = koffi.load(null);
  type Call = (...args: unknown[]) => number;
  const fn = (name: string, result: string, args: string[]): Call =>
    library.func(name, result, args) as unknown as Call;
  const sysctlbyname = fn('sysctlbyname', 'int', ['str', 'void *', 'void *', 'void *', 'size_t']);
  const sysctl = fn('sysctl', 'int', ['void *', 'uint', 'void *', 'void *', 'void *', 'size_t']);
  const accept = fn('accept', 'int', ['int', 'void *', 'void *']);
  const kevent = fn('kevent64', 'int', ['int', 'void *', 'int', 'void *', 'int', 'uint', 'void *']);
  const ifIndexToName = library.func('if_indextoname', 'void *', ['uint', 'void *']) as unknown as (
    index: number,
    name: Buffer,
  ) => unknown;
  // Variadic arguments go on the stack on arm64, so fcntl(2) must be declared as what it is.
  const fcntl = library.func('int fcntl(int, int, ...)') as unknown as Call;
  const userName = library.func('user_from_uid', 'str', ['uint32', 'int']) as unknown as (
    uid: number,
    nothing: number,
  ) => string | null;
  const optional = (name: string, result: string, args: string[]): Call | null => {
    try {
      return fn(name, result, args);
    } catch {
      // koffi says in words that the library has no such symbol.
      return null;
    }
  };
  const clock = library.func('clock_gettime_nsec_np', 'uint64', ['int']) as unknown as (id: number) => number | bigint;
  return {
    errno: () => koffi.errno(),
    clearErrno: () => {
      koffi.errno(0);
    },
    uptimeNs: () => BigInt(clock(CLOCK_UPTIME_RAW)),
    sysctlbyname: (name, old, length) => sysctlbyname(name, old, length, null, 0),
    sysctl: (mib, old, length) => sysctl(Buffer.from(new Int32Array(mib).buffer), mib.length, old, length, null, 0),
    proc_listpids: fn('proc_listpids', 'int', ['uint32', 'uint32', 'void *', 'int']),
    proc_pidinfo: fn('proc_pidinfo', 'int', ['int', 'int', 'uint64', 'void *', 'int']),
    proc_pidfdinfo: fn('proc_pidfdinfo', 'int', ['int', 'int', 'int', 'void *', 'int']),
    proc_pidfileportinfo: fn('proc_pidfileportinfo', 'int', ['int', 'uint32', 'int', 'void *', 'int']),
    proc_pidpath: fn('proc_pidpath', 'int', ['int', 'void *', 'uint32']),
    proc_signal_with_audittoken: optional('proc_signal_with_audittoken', 'int', ['void *', 'int']),
    kill: fn('kill', 'int', ['int', 'int']),
    getsid: fn('getsid', 'int', ['int']),
    // Not NULL, but the number as text, where the second argument is 0.
    user_from_uid: (uid) => userName(uid, 1),
    kqueue: fn('kqueue', 'int', []),
    kevent64: (kq, changes, changed, events, room) => {
      // A zero timeout: the event loop is what waits.
      const now = Buffer.alloc(16);
      return kevent(kq, changes, changed, events, room, 0, now);
    },
    socket: fn('socket', 'int', ['int', 'int', 'int']),
    bind: fn('bind', 'int', ['int', 'void *', 'uint32']),
    listen: fn('listen', 'int', ['int', 'int']),
    connect: fn('connect', 'int', ['int', 'void *', 'uint32']),
    accept: (fd) => accept(fd, null, null),
    shutdown: fn('shutdown', 'int', ['int', 'int']),
    close: fn('close', 'int', ['int']),
    getsockname: fn('getsockname', 'int', ['int', 'void *', 'void *']),
    getsockopt: fn('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']),
    setsockopt: fn('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint32']),
    fcntl: (fd, command, argument) => fcntl(fd, command, 'int', argument),
    if_nametoindex: fn('if_nametoindex', 'uint', ['str']),
    if_indextoname: (index, name) => Boolean(ifIndexToName(index, name)),
    watch: (fd, onReadable) =>
      koffi.node.poll(fd, { readable: true }, () => {
        onReadable();
        // Node 26 does not run what a promise has waiting after a native callback; it does after an immediate.
        setImmediate(() => {});
      }),
  };
}
