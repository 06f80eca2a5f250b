/**
 * Numbers of system calls: for what glibc has no function for, and to read what /proc/PID/syscall says. From
 * arch/x86/entry/syscalls/syscall_64.tbl and the syscall.tbl of the other architectures; arm64, riscv64 and loong64 share
 * include/uapi/asm-generic/unistd.h. From 424 on (Linux 5.0) they are the same everywhere.
 */

const generic = {
  ioctl: 29,
  getdents64: 61,
  read: 63,
  write: 64,
  readv: 65,
  writev: 66,
  readlinkat: 78,
  pselect6: 72,
  ppoll: 73,
  socket: 198,
  bind: 200,
  connect: 203,
  accept: 202,
  sendto: 206,
  recvfrom: 207,
  setsockopt: 208,
  getsockopt: 209,
  sendmsg: 211,
  recvmsg: 212,
  accept4: 242,
  renameat2: 276,
} as const;

const x64 = {
  read: 0,
  write: 1,
  poll: 7,
  ioctl: 16,
  readv: 19,
  writev: 20,
  select: 23,
  socket: 41,
  connect: 42,
  accept: 43,
  sendto: 44,
  recvfrom: 45,
  sendmsg: 46,
  recvmsg: 47,
  bind: 49,
  setsockopt: 54,
  getsockopt: 55,
  getdents64: 217,
  readlinkat: 267,
  pselect6: 270,
  ppoll: 271,
  accept4: 288,
  /** glibc has a wrapper since 2.28, musl has none. */
  renameat2: 316,
} as const;

/** What rebind knows a number of. */
export type CallName = keyof typeof x64 | keyof typeof common;

/** Linux 5.0 and later; Landlock 5.13. */
const common = {
  pidfd_send_signal: 424,
  io_uring_enter: 426,
  pidfd_open: 434,
  pidfd_getfd: 438,
  landlock_create_ruleset: 444,
  landlock_restrict_self: 446,
} as const;

const tables: Readonly<Record<string, Readonly<Partial<Record<CallName, number>>>>> = {
  x64,
  arm64: generic,
  riscv64: generic,
  loong64: generic,
  ia32: { getdents64: 220, renameat2: 353 },
  arm: { getdents64: 217, renameat2: 382 },
  ppc64: { getdents64: 202, renameat2: 357 },
  s390x: { getdents64: 220, renameat2: 347 },
};

/** Null where it is not known for this architecture, or this architecture has no such call. */
export function callNumber(name: CallName): number | null {
  return { ...tables[process.arch], ...common }[name] ?? null;
}

/** The name of a call, null for all others. */
export function callName(number: number): CallName | null {
  names ??= new Map(Object.entries({ ...tables[process.arch], ...common }).map(([name, of]) => [of, name as CallName]));
  return names.get(number) ?? null;
}

let names: Map<number, CallName> | undefined;

/** False where the numbers that /proc/PID/syscall shows mean nothing to us. */
export const knowsCalls: boolean = tables[process.arch]?.accept !== undefined;
