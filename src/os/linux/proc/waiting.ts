/**
 * Does a process wait for connections on a socket, or did it merely inherit the descriptor? What the kernel shows of its sleep: the socket
 * is in an epoll set (fdinfo, proc_pid_fdinfo(5)), or a thread sleeps in accept(2), poll(2) or select(2) on it (proc_pid_syscall(5)).
 *
 * A program that merely inherited the socket, and hangs before it listens, shows none of these.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { littleEndian } from '../../byte-order.ts';
import { type CallName, callName, knowsCalls } from '../calls/numbers.ts';
import { inodeOf } from './open-sockets.ts';
import { attempt, type Proc } from './proc.ts';

/** Descriptors and threads that are looked at in one process; a server's epoll instance is among its first descriptors. */
const mostDescriptors = 512;
const mostThreads = 256;
const fdinfoLimit = 1_048_576;

/** More descriptors than this in one poll are not looked at. */
const mostPolled = 4_096;
const sizeofPollfd = 8;

/** Calls that can wait for any socket without telling which, unless the memory of the process may be read. */
const unclear: ReadonlySet<CallName> = new Set(['poll', 'ppoll', 'select', 'pselect6', 'io_uring_enter']);

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
  const watched = watchedByEpoll(proc, place, inode, mostDescriptors);
  if (watched === true) return true;
  const sleeps = sleepsInAccept(proc, pid, descriptors);
  if (sleeps === true) return true;
  return watched === false && sleeps === false ? false : null;
}

/** True when a process that this one may trace waits for input on the socket with this inode. False too when the kernel will not say. */
export function waitsForInput(proc: Proc, pid: number, inode: number): boolean {
  const names = attempt(() => proc.list(`${pid}/fd`)) ?? [];
  const link = (name: string): string => attempt(() => proc.link(`${pid}/fd/${name}`)) ?? '';
  const descriptors = new Set(names.filter((name) => inodeOf(link(name)) === inode).map(Number));
  if (descriptors.size === 0) return false;
  if (watchedByEpoll(proc, `${pid}`, inode, Number.POSITIVE_INFINITY) === true) return true;
  return (attempt(() => proc.list(`${pid}/task`)) ?? []).some((thread) => sleepsOn(proc, pid, thread, descriptors));
}

/** Null when it could not be told. */
function watchedByEpoll(proc: Proc, place: string, inode: number, most: number): boolean | null {
  const names = attempt(() => proc.list(`${place}/fd`));
  if (names === null) return null;
  const ino = ` ino:${inode.toString(16)} `;
  for (const name of names.slice(0, most)) {
    if (attempt(() => proc.link(`${place}/fd/${name}`)) !== 'anon_inode:[eventpoll]') continue;
    // `tfd: 17 events: 1 data: … pos:0 ino:2c9b sdev:8` (fs/eventpoll.c, ep_show_fdinfo); the inode is hexadecimal.
    const info = attempt(() => proc.text(`${place}/fdinfo/${name}`, fdinfoLimit));
    if (info === null) return null;
    if (info.includes(ino)) return true;
  }
  return names.length > most ? null : false;
}

/** The call that a thread sleeps in, by its name; null when it runs, or is blocked outside of a call (`-1 sp pc`). */
export function sleepOf(proc: Proc, pid: number, thread: string): { name: CallName | null; args: string[] } | null {
  const text = attempt(() => proc.text(`${pid}/task/${thread}/syscall`));
  const [number = '', ...args] = (text ?? '').trim().split(' ');
  return /^\d+$/.test(number) ? { name: callName(Number(number)), args } : null;
}

function isAccept(name: CallName | null): boolean {
  return name === 'accept' || name === 'accept4';
}

function sleepsInAccept(proc: Proc, pid: number, descriptors: readonly number[]): boolean | null {
  const threads = attempt(() => proc.list(`${pid}/task`));
  if (!knowsCalls || threads === null || threads.length === 0) return null;
  // We are in the middle of reading, which says nothing about what comes after; and libuv begins to watch a new listener only then.
  let isUnclear = threads.length > mostThreads || pid === process.pid;
  for (const thread of threads.slice(0, mostThreads)) {
    const sleep = sleepOf(proc, pid, thread);
    if (sleep === null) {
      isUnclear = true;
      continue;
    }
    if (isAccept(sleep.name) && descriptors.includes(Number(sleep.args[0]))) return true;
    if (sleep.name !== null && unclear.has(sleep.name)) isUnclear = true;
  }
  return isUnclear ? null : false;
}

function sleepsOn(proc: Proc, pid: number, thread: string, descriptors: ReadonlySet<number>): boolean {
  const sleep = sleepOf(proc, pid, thread);
  if (sleep === null) return false;
  const { name, args } = sleep;
  if (isAccept(name)) return descriptors.has(Number(args[0]));
  if (name === 'poll' || name === 'ppoll') return polled(proc, pid, args).some((fd) => descriptors.has(fd));
  if (name === 'select' || name === 'pselect6') return selected(proc, pid, args, descriptors);
  return false;
}

/** The `fd` of every struct pollfd that asks for input. */
export function polled(proc: Proc, pid: number, args: readonly string[]): number[] {
  const count = Math.min(Number(args[1]), mostPolled);
  const bytes = readMemory(proc, pid, args[0], count * sizeofPollfd);
  if (bytes === null) return [];
  return Array.from({ length: count }, (_, index) =>
    littleEndian ? bytes.readInt32LE(index * sizeofPollfd) : bytes.readInt32BE(index * sizeofPollfd),
  );
}

/** fd_set is an array of long, one bit for each descriptor (select(2)). Every machine with numbers in numbers.ts is little-endian. */
export function selected(proc: Proc, pid: number, args: readonly string[], descriptors: ReadonlySet<number>): boolean {
  const count = Math.min(Number(args[0]), 1_024);
  const bytes = readMemory(proc, pid, args[1], (count + 7) >> 3);
  if (bytes === null) return false;
  return [...descriptors].some((fd) => fd < count && ((bytes[fd >> 3] ?? 0) & (1 << (fd & 7))) !== 0);
}

/** A part of another process's memory, which its parent may read (proc_pid_mem(5)). */
function readMemory(proc: Proc, pid: number, address: string | undefined, length: number): Buffer | null {
  if (address === undefined || !/^0x[0-9a-f]+$/.test(address) || length <= 0) return null;
  let fd: number;
  try {
    fd = openSync(`${proc.root}/${pid}/mem`, 'r');
  } catch {
    // EACCES, or it ended: the same as not knowing.
    return null;
  }
  try {
    const bytes = Buffer.alloc(length);
    return readSync(fd, bytes, 0, length, BigInt(address)) === length ? bytes : null;
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}
