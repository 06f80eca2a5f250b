/**
 * Does a process wait for connections on a socket? What the kernel shows of its sleep: the socket is in an epoll set
 * (fdinfo, proc_pid_fdinfo(5)), or a thread sleeps in accept(2), poll(2) or select(2) on it (proc_pid_syscall(5)).
 *
 * A program that merely inherited the socket, and hangs before it listens, shows none of these.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { littleEndian } from '../../byte-order.ts';

type Call = 'accept' | 'poll' | 'select';

/** System calls by number (arch/x86/entry/syscalls/syscall_64.tbl; include/uapi/asm-generic/unistd.h for the others). */
const calls: Readonly<Record<string, Readonly<Record<number, Call>>>> = {
  x64: { 7: 'poll', 23: 'select', 43: 'accept', 270: 'select', 271: 'poll', 288: 'accept' },
  arm64: { 72: 'select', 73: 'poll', 202: 'accept', 242: 'accept' },
  riscv64: { 72: 'select', 73: 'poll', 202: 'accept', 242: 'accept' },
};

/** More descriptors than this in one poll are not looked at. */
const mostPolled = 4_096;
const sizeofPollfd = 8;

/** Processes of a session (setsid(2)) that run; what may not be read is not counted. */
export function processesInSession(session: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => sessionOf(pid) === session);
}

/** A process and everything below it (`children`, proc_pid_task(5)); a process whose parent has ended is below nobody. */
export function processTree(root: number): number[] {
  const tree = [root];
  for (const pid of tree) {
    for (const thread of threadsOf(pid)) {
      const children = read(`/proc/${pid}/task/${thread}/children`);
      // A kernel without CONFIG_PROC_CHILDREN.
      if (children === null && pid === root) return processesInSession(root);
      tree.push(...(children ?? '').split(' ').filter(Boolean).map(Number));
    }
  }
  return tree;
}

/** True when the process waits for input on the socket with this inode. False too when the kernel will not say. */
export function waitsForInput(pid: number, inode: number): boolean {
  const descriptors = descriptorsOf(pid, inode);
  if (descriptors.size === 0) return false;
  return pollsByEpoll(pid, inode) || threadsOf(pid).some((thread) => sleepsOn(pid, thread, descriptors));
}

/** Null for a zombie: it has closed everything and only waits to be counted. */
function sessionOf(pid: number): number | null {
  const stat = read(`/proc/${pid}/stat`);
  if (stat === null) return null;
  // After the name, which may hold anything: state, ppid, pgrp, session, and the number of threads as field 20 (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, , , session] = fields;
  const isOver = state === 'X' || (state === 'Z' && Number(fields[17]) < 2);
  return isOver ? null : Number(session);
}

function descriptorsOf(pid: number, inode: number): Set<number> {
  const found = new Set<number>();
  const link = `socket:[${inode}]`;
  for (const name of list(`/proc/${pid}/fd`)) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${name}`) === link) found.add(Number(name));
    } catch {
      // Closed between the listing and now.
    }
  }
  return found;
}

/** `tfd: 17 events: 1 data: … pos:0 ino:2c9b sdev:8` (fs/eventpoll.c, ep_show_fdinfo); the inode is in hexadecimal. */
function pollsByEpoll(pid: number, inode: number): boolean {
  const wanted = new RegExp(`^tfd:.* ino:${inode.toString(16)} `, 'm');
  return list(`/proc/${pid}/fdinfo`).some((name) => wanted.test(read(`/proc/${pid}/fdinfo/${name}`) ?? ''));
}

function threadsOf(pid: number): string[] {
  return list(`/proc/${pid}/task`);
}

function sleepsOn(pid: number, thread: string, descriptors: ReadonlySet<number>): boolean {
  const text = read(`/proc/${pid}/task/${thread}/syscall`);
  if (text === null) return false;
  const [number = '', ...args] = text.trim().split(' ');
  const call = calls[process.arch]?.[Number(number)];
  if (call === 'accept') return descriptors.has(Number(args[0]));
  if (call === 'poll') return polled(pid, args).some((fd) => descriptors.has(fd));
  if (call === 'select') return selected(pid, args, descriptors);
  return false;
}

/** The `fd` of every struct pollfd that asks for input. */
function polled(pid: number, args: readonly string[]): number[] {
  const count = Math.min(Number(args[1]), mostPolled);
  const bytes = readMemory(pid, args[0], count * sizeofPollfd);
  if (bytes === null) return [];
  return Array.from({ length: count }, (_, index) =>
    littleEndian ? bytes.readInt32LE(index * sizeofPollfd) : bytes.readInt32BE(index * sizeofPollfd),
  );
}

/** fd_set is an array of long, one bit for each descriptor (select(2)). Every machine with numbers above is little-endian. */
function selected(pid: number, args: readonly string[], descriptors: ReadonlySet<number>): boolean {
  const count = Math.min(Number(args[0]), 1_024);
  const bytes = readMemory(pid, args[1], (count + 7) >> 3);
  if (bytes === null) return false;
  return [...descriptors].some((fd) => fd < count && ((bytes[fd >> 3] ?? 0) & (1 << (fd & 7))) !== 0);
}

/** A part of another process's memory, which its parent may read (proc_pid_mem(5)). */
function readMemory(pid: number, address: string | undefined, length: number): Buffer | null {
  if (address === undefined || length <= 0) return null;
  let fd: number;
  try {
    fd = openSync(`/proc/${pid}/mem`, 'r');
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

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // Gone, or not ours to look at.
    return [];
  }
}

/** Reused: readFileSync takes 64 kB anew for each file whose size it does not know, and one look reads many. */
let chunk: Buffer | undefined;

function read(path: string): string | null {
  chunk ??= Buffer.alloc(65_536);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return null;
  }
  try {
    let text = '';
    for (;;) {
      const length = readSync(fd, chunk);
      if (length === 0) return text;
      text += chunk.toString('latin1', 0, length);
    }
  } catch {
    // ESRCH: it ended meanwhile.
    return null;
  } finally {
    closeSync(fd);
  }
}
