/**
 * Numbers of macOS, from the headers of xnu (bsd/sys and bsd/netinet of tags xnu-7195.141.2 to xnu-11417.121.6): the same in all of them, on
 * arm64 and x86_64, unless a release is named.
 */
import { NativeError } from '../errors.ts';

/** sys/errno.h, as far as the calls that are made here answer with them. */
export const errnoNames: Readonly<Record<number, string>> = {
  1: 'EPERM',
  2: 'ENOENT',
  3: 'ESRCH',
  4: 'EINTR',
  9: 'EBADF',
  12: 'ENOMEM',
  13: 'EACCES',
  14: 'EFAULT',
  17: 'EEXIST',
  20: 'ENOTDIR',
  22: 'EINVAL',
  23: 'ENFILE',
  24: 'EMFILE',
  30: 'EROFS',
  35: 'EAGAIN',
  36: 'EINPROGRESS',
  38: 'ENOTSOCK',
  40: 'EMSGSIZE',
  42: 'ENOPROTOOPT',
  43: 'EPROTONOSUPPORT',
  45: 'ENOTSUP',
  47: 'EAFNOSUPPORT',
  48: 'EADDRINUSE',
  49: 'EADDRNOTAVAIL',
  51: 'ENETUNREACH',
  53: 'ECONNABORTED',
  54: 'ECONNRESET',
  55: 'ENOBUFS',
  56: 'EISCONN',
  57: 'ENOTCONN',
  60: 'ETIMEDOUT',
  61: 'ECONNREFUSED',
  63: 'ENAMETOOLONG',
  65: 'EHOSTUNREACH',
  78: 'ENOSYS',
  102: 'EOPNOTSUPP',
};

export const EPERM = 1;
export const ESRCH = 3;
export const EINTR = 4;
export const ENOMEM = 12;
export const EACCES = 13;
export const EINVAL = 22;
export const EAGAIN = 35;
export const EINPROGRESS = 36;
export const ECONNABORTED = 53;

/** The name of an errno of macOS. */
export function errnoName(errno: number): string {
  return errnoNames[errno] ?? `errno ${errno}`;
}

/** A call that failed with an errno of macOS. */
export function failure(syscall: string, errno: number, detail?: string): NativeError {
  const { constants } = process.getBuiltinModule('node:os');
  const here = (constants.errno as Readonly<Record<string, number>>)[errnoName(errno)];
  return new NativeError(syscall, here ?? errno, detail);
}

/** sys/signal.h. */
export const signalNumbers: Readonly<Partial<Record<NodeJS.Signals, number>>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGURG: 16,
  SIGSTOP: 17,
  SIGTSTP: 18,
  SIGCONT: 19,
  SIGCHLD: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGIO: 23,
  SIGWINCH: 28,
  SIGUSR1: 30,
  SIGUSR2: 31,
};

// sys/socket.h, netinet/in.h, netinet6/in6.h, netinet/tcp.h, sys/un.h
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 30;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_IPV6 = 41;
export const SOL_SOCKET = 0xffff;
export const SO_ACCEPTCONN = 0x2;
export const SO_REUSEADDR = 0x4;
export const SO_REUSEPORT = 0x200;
export const SO_TYPE = 0x1008;
export const IP_BOUND_IF = 25;
export const IPV6_BOUND_IF = 125;
export const IPV6_V6ONLY = 27;
/** sys/un.h: level and options of Unix sockets. */
export const SOL_LOCAL = 0;
export const LOCAL_PEERCRED = 1;
export const LOCAL_PEERPID = 2;
/** sun_path; a path may fill it without a NUL byte. */
export const maxUnixPath = 104;

// sys/fcntl.h
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const F_DUPFD_CLOEXEC = 67;
export const FD_CLOEXEC = 1;
export const O_NONBLOCK = 4;

// sys/proc_info.h
export const PROC_ALL_PIDS = 1;
export const PROC_PIDLISTFDS = 1;
export const PROC_PIDVNODEPATHINFO = 9;
export const PROC_PIDLISTFILEPORTS = 14;
export const PROC_PIDT_SHORTBSDINFO = 13;
/** Private: sys/proc_info_private.h. */
export const PROC_PIDUNIQIDENTIFIERINFO = 17;
export const PROC_PIDFDSOCKETINFO = 3;
export const PROC_PIDFILEPORTSOCKETINFO = 3;
export const PROC_PIDPATHINFO_MAXSIZE = 4096;
export const PROX_FDTYPE_SOCKET = 2;
export const SOCKINFO_IN = 1;
export const SOCKINFO_TCP = 2;
export const SOCKINFO_UN = 3;

// netinet/in_pcb.h and sys/socketvar.h, behind #ifdef PRIVATE or KERNEL
export const XSO_SOCKET = 0x1;
export const XSO_INPCB = 0x10;
export const XSO_TCPCB = 0x20;
export const INP_ANONPORT = 0x40;
export const IN6P_IPV6_V6ONLY = 0x8000;
export const INP_IPV4 = 0x1;
export const INP_IPV6 = 0x2;
export const SS_NOFDREF = 0x1;
export const SS_INCOMP = 0x800;
export const SS_COMP = 0x1000;
export const SOF_REUSESHAREUID = 0x40;

// sys/sysctl.h
export const CTL_KERN = 1;
export const KERN_PROC = 14;
export const KERN_PROC_PID = 1;
export const KERN_PROCARGS2 = 49;

// sys/proc.h
export const P_TRACED = 0x800;
export const SRUN = 2;
export const SSLEEP = 3;
export const SSTOP = 4;
export const SZOMB = 5;

// sys/event.h
export const EVFILT_PROC = -5;
export const EV_ADD = 0x1;
export const EV_ERROR = 0x4000;
export const NOTE_EXIT = 0x80000000;
