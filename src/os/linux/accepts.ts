/**
 * Does a process wait for the connections of a listener, or did it merely inherit the descriptor?
 * Seen from outside: an epoll instance of it watches the socket (proc_pid_fdinfo(5)), or a thread sleeps in accept (proc_pid_syscall(5)).
 */
import { attempt, type Proc } from './proc/proc.ts';

/** System calls by number (arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h for the others). */
interface Calls {
  readonly accept: readonly number[];
  /** Calls that can wait for any socket without telling which: poll, ppoll, select, pselect6, io_uring_enter. */
  readonly unclear: readonly number[];
}

const generic: Calls = { accept: [202, 242], unclear: [72, 73, 426] };
const calls: Readonly<Record<string, Calls>> = {
  x64: { accept: [43, 288], unclear: [7, 23, 270, 271, 426] },
  arm64: generic,
  riscv64: generic,
  loong64: generic,
};

/** Descriptors and threads that are looked at in one process; a server's epoll instance is among its first descriptors. */
const mostDescriptors = 512;
const mostThreads = 256;

/**
 * True: it waits. False: it was seen that it does not; every thread sleeps in something else. Null: it could not be told.
 *
 * @param place Where /proc shows its descriptors.
 * @param descriptors The process's descriptors of the socket.
 */
export function accepts(
  proc: Proc,
  { pid, place }: { readonly pid: number; readonly place: string },
  inode: number,
  descriptors: readonly number[],
): boolean | null {
  const watched = watchedByEpoll(proc, place, inode);
  if (watched === true) return true;
  const sleeps = sleepsInAccept(proc, pid, descriptors);
  if (sleeps === true) return true;
  return watched === false && sleeps === false ? false : null;
}

function watchedByEpoll(proc: Proc, place: string, inode: number): boolean | null {
  const names = attempt(() => proc.list(`${place}/fd`));
  if (names === null) return null;
  const ino = ` ino:${inode.toString(16)} `;
  for (const name of names.slice(0, mostDescriptors)) {
    if (attempt(() => proc.link(`${place}/fd/${name}`)) !== 'anon_inode:[eventpoll]') continue;
    // `tfd: 17 events: 1 data: … pos:0 ino:2c9b sdev:8` (fs/eventpoll.c, ep_show_fdinfo); the inode is hexadecimal.
    const info = attempt(() => proc.text(`${place}/fdinfo/${name}`, 1_048_576));
    if (info === null) return null;
    if (info.includes(ino)) return true;
  }
  return names.length > mostDescriptors ? null : false;
}

function sleepsInAccept(proc: Proc, pid: number, descriptors: readonly number[]): boolean | null {
  const known = calls[process.arch];
  const threads = attempt(() => proc.list(`${pid}/task`));
  if (known === undefined || threads === null || threads.length === 0) return null;
  // We are in the middle of reading, which says nothing about what comes after; and libuv begins to watch a new listener only then.
  let unclear = threads.length > mostThreads || pid === process.pid;
  for (const thread of threads.slice(0, mostThreads)) {
    const text = attempt(() => proc.text(`${pid}/task/${thread}/syscall`));
    // `running`, or `-1 sp pc` when it is blocked outside of a system call.
    const found = text === null ? null : /^(\d+)(?: (0x[0-9a-f]+))?/.exec(text);
    if (found === null) {
      unclear = true;
      continue;
    }
    const call = Number(found[1]);
    if (known.accept.includes(call) && descriptors.includes(Number(found[2]))) return true;
    if (known.unclear.includes(call)) unclear = true;
  }
  return unclear ? null : false;
}
