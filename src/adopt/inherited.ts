/**
 * The held sockets as they arrived in this process: found by identity, given out one copy at a time.
 *
 * A handle owns the number it was opened with, and closes it. So every server gets a copy of its own, and worker
 * threads, which share the descriptors, claim copies in shared memory.
 */
import { closeSync, fstatSync } from 'node:fs';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import type { Passed, PassedSocket } from '../hold/wire/passed.ts';
import { os } from '../os/index.ts';

/** Where the search for descriptors ends: spawn numbers them upward from 3, a re-append right after the caller's own. */
const lastDescriptor = 127;
/** The key under which worker threads find the claims of the main thread. */
const claimsKey = 'rebind.hold.claims';

/** Duplicates a descriptor, close-on-exec; loaded only when the last copy is about to be used. */
export type Duplicate = (fd: number) => number;

/** `dev:inode` of a descriptor when it is a socket, else null. */
export function identityOf(fd: number): string | null {
  try {
    const stat = fstatSync(fd);
    return stat.isSocket() ? `${stat.dev}:${stat.ino}` : null;
  } catch {
    // EBADF: there is no such descriptor, which is what the caller asks.
    return null;
  }
}

/** A path to connect to hold by, through the descriptor that it passed for that; null when a wrapper closed it. Needs no system call of ours. */
export function inheritedReference(reference: string): string | null {
  const fd = referenceDescriptor(reference);
  return fd === null ? null : `/proc/self/fd/${fd}`;
}

function referenceDescriptor(reference: string): number | null {
  for (let fd = 3; fd <= lastDescriptor; fd++) if (identityOf(fd) === reference) return fd;
  return null;
}

export class Inherited {
  readonly passed: Passed;
  readonly #duplicate: Duplicate;
  /** Copies of each socket, by identity; null until somebody asks. */
  #found: Map<string, number[]> | null = null;
  /** One byte for each descriptor number: 1 when a handle of any thread owns it. */
  readonly #claims: Int8Array;

  constructor(passed: Passed, duplicate: Duplicate) {
    this.passed = passed;
    this.#duplicate = duplicate;
    this.#claims = claims();
  }

  /** The descriptors that a child may be given, one for each socket that is here. */
  descriptors(): { readonly socket: PassedSocket; readonly fd: number }[] {
    return this.passed.sockets.flatMap((socket) => {
      const fd = this.#unclaimed(socket)[0];
      return fd === undefined ? [] : [{ socket, fd }];
    });
  }

  /** The way to hold for a child that changes its user, if it came with the sockets. */
  reference(): number | null {
    const { reference } = this.passed;
    return reference === null ? null : referenceDescriptor(reference);
  }

  /**
   * A copy of the socket for a handle to own, or null when there is none. The last copy is duplicated first,
   * so that a server can be closed and listen again.
   */
  take(socket: PassedSocket): number | null {
    for (const fd of this.#unclaimed(socket)) {
      if (Atomics.compareExchange(this.#claims, fd, 0, 1) !== 0) continue;
      if (this.#unclaimed(socket).length === 0) this.add(socket, this.#duplicate(fd));
      return fd;
    }
    return null;
  }

  /** The handle closed its number. */
  release(socket: PassedSocket, fd: number): void {
    const copies = this.#copies().get(socket.identity) ?? [];
    const at = copies.indexOf(fd);
    if (at >= 0) copies.splice(at, 1);
    Atomics.store(this.#claims, fd, 0);
  }

  /** Nobody owns the number after all. */
  giveBack(socket: PassedSocket, fd: number): void {
    if (!this.#copies().get(socket.identity)?.includes(fd)) this.add(socket, fd);
    Atomics.store(this.#claims, fd, 0);
  }

  /** Closes the copies that nobody owns. */
  drop(socket: PassedSocket): void {
    for (const fd of this.#unclaimed(socket)) {
      if (Atomics.compareExchange(this.#claims, fd, 0, 1) !== 0) continue;
      closeHere(fd);
      this.release(socket, fd);
    }
  }

  /** Takes in a copy that came another way. */
  add(socket: PassedSocket, fd: number): void {
    const all = this.#copies();
    all.set(socket.identity, [...(all.get(socket.identity) ?? []), fd]);
  }

  #unclaimed(socket: PassedSocket): number[] {
    const copies = this.#copies().get(socket.identity) ?? [];
    // A number may have been closed behind our back, and be something else by now.
    return copies.filter((fd) => Atomics.load(this.#claims, fd) === 0 && identityOf(fd) === socket.identity);
  }

  /**
   * Looks at the first listen() or spawn, not at the start: that is what most processes never reach. And in Node 20, an fstat
   * before `--eval` runs makes what it imports from CommonJS empty.
   */
  #copies(): Map<string, number[]> {
    if (this.#found !== null) return this.#found;
    const found = new Map<string, number[]>();
    this.#found = found;
    let missing = this.passed.sockets.length * this.passed.copies;
    for (let fd = 3; fd <= lastDescriptor && missing > 0; fd++) {
      const identity = identityOf(fd);
      if (identity === null) continue;
      const socket = this.passed.sockets.find((candidate) => candidate.identity === identity);
      if (socket === undefined) continue;
      found.set(identity, [...(found.get(identity) ?? []), fd]);
      missing--;
    }
    return found;
  }
}

/** Numbers above are never claimed by two threads, because only passed descriptors and their duplicates are claimed. */
const claimCells = 65_536;

function claims(): Int8Array {
  const shared = getEnvironmentData(claimsKey) as unknown;
  if (!isMainThread && typeof SharedArrayBuffer !== 'undefined' && shared instanceof SharedArrayBuffer)
    return new Int8Array(shared);
  // A program may be started without it (--no-harmony-sharedarraybuffer); then it has no worker threads that share descriptors.
  if (typeof SharedArrayBuffer === 'undefined') return new Int8Array(claimCells);
  const made = new SharedArrayBuffer(claimCells);
  if (isMainThread) setEnvironmentData(claimsKey, made as never);
  return new Int8Array(made);
}

/** A worker thread of Node warns when its fs closes a descriptor that it has not opened. */
function closeHere(fd: number): void {
  try {
    os().sockets.close(fd);
  } catch {
    // Without koffi the warning is what remains.
    closeSync(fd);
  }
}
