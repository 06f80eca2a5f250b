/**
 * Datagrams from anybody who can reach the name (sd_notify(3)), believed only by what the kernel says about their sender (SCM_CREDENTIALS, unix(7)).
 *
 * A message may carry descriptors, and closing one blocks its receiver for as long as the sender likes: a socket that lingers (SO_LINGER), a file
 * of a FUSE server that does not answer. So a message is looked at first (MSG_PEEK), and one of another user that carries any is thrown away by
 * a process of its own, which can be killed. Refusing them all (SO_PASSRIGHTS) would fail `systemd-notify`, which waits for a pipe to be closed.
 */
import { chmodSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Inbox, InboxOptions, Peer } from '../../channels.ts';
import { receiveMessage } from '../calls/descriptors.ts';
import { libc, type Watch } from '../calls/libc.ts';
import { intOption, setNative, sockets } from '../calls/socket.ts';
import { effectiveUid, findPlace, privatePart } from './directory.ts';
import { pathOf } from './stream.ts';

const SO_PASSCRED = { level: 1, name: 16 };
/** Messages read before others have their turn in the event loop. */
const mostAtOnce = 64;
/** The pause after nothing but messages of strangers: they cannot keep us busy. */
const strangersMs = 20;
/** What a process that throws a message away may take, and how many are started in a second. */
const discardMs = 2_000;
const betweenDiscardsMs = 100;

/** Reads one datagram and ends; the kernel throws away what came with it. */
const discarder = `require('fs').readSync(3, Buffer.alloc(1))`;

export function openInbox(name: string, options: InboxOptions): Inbox {
  const { directory } = findPlace();
  // Abstract only where no directory can be written; the sender is asked for in either case.
  const bound = directory === null ? `@rebind/${effectiveUid()}/${name}` : join(privatePart(directory), name);
  const address = directory === null ? bound : join(directory, secretName());
  const fd = sockets.open('unix-datagram', 4);
  try {
    setNative(fd, SO_PASSCRED, intOption(1));
    sockets.bind(fd, { protocol: 'unix', path: pathOf(bound) });
    if (directory !== null) {
      // Root's directory can be searched, so that a program which gave up root is heard; any other user's cannot. It cannot be listed, and
      // /proc/net/unix shows the name that was bound: the one that a file has now is known to those that were told.
      chmodSync(bound, 0o666);
      renameSync(bound, address);
    }
  } catch (error) {
    sockets.close(fd);
    if (directory !== null) removeFile(bound, inodeOf(bound));
    throw error;
  }
  const reader = new Reader(fd, options);
  const file = directory === null ? null : inodeOf(address);
  return {
    address,
    close() {
      reader.close();
      sockets.close(fd);
      removeFile(address, file);
    },
  };
}

class Reader {
  readonly #fd: number;
  readonly #options: InboxOptions;
  #watch: Watch | null = null;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(fd: number, options: InboxOptions) {
    this.#fd = fd;
    this.#options = options;
    this.#listen();
  }

  close(): void {
    this.#closed = true;
    this.#sleep();
    clearTimeout(this.#pause);
  }

  #listen(): void {
    if (!this.#closed) this.#watch ??= libc().watch(this.#fd, () => this.#readAll());
  }

  #sleep(): void {
    this.#watch?.close();
    this.#watch = null;
  }

  #listenAfter(ms: number): void {
    this.#sleep();
    this.#pause = setTimeout(() => this.#listen(), ms);
  }

  #readAll(): void {
    let heard = false;
    let count = 0;
    try {
      for (; count < mostAtOnce && !this.#closed; count++) {
        const first = receiveMessage(this.#fd, { peek: true, descriptors: false });
        if (first === null) break;
        const sender = first.sender;
        if (first.truncated && !isTrusted(sender)) {
          this.#discard(sender);
          return;
        }
        // Without room for what comes with it, such as a barrier's pipe (sd_notify_barrier(3)): the kernel lets go of that, and does not ask a FUSE
        // server first, as close(2) does.
        const { data } = receiveMessage(this.#fd, { descriptors: false }) ?? first;
        if (sender === null || this.#closed || !this.#options.believe(sender)) continue;
        heard = true;
        this.#options.onData(data, sender);
      }
    } catch {
      // A message that could not be read must not be what ends us; the next one may be.
      if (!this.#closed) this.#listenAfter(strangersMs);
      return;
    }
    if (!heard && count > 0 && !this.#closed) this.#listenAfter(strangersMs);
  }

  /** Nothing is read meanwhile, so that the message which was looked at is the one that goes. */
  #discard(sender: Peer | null): void {
    this.#sleep();
    const { data } = receiveMessage(this.#fd, { peek: true, descriptors: false }) ?? { data: null };
    // A program below hold that changed its user, and waits for its barrier, is heard like any other.
    if (data !== null && sender !== null && this.#options.believe(sender)) this.#options.onData(data, sender);
    if (this.#closed) return;
    const { spawn } = process.getBuiltinModule('node:child_process');
    const next = (): void => {
      clearTimeout(kill);
      if (!this.#closed) this.#listenAfter(betweenDiscardsMs);
    };
    const child = spawn(process.execPath, ['-e', discarder], {
      env: {},
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', this.#fd],
    });
    const kill = setTimeout(() => child.kill('SIGKILL'), discardMs);
    child.once('exit', next);
    // No process could be started; it is tried again.
    child.once('error', next);
  }
}

/** Root and our own user could stop us in simpler ways. */
function isTrusted(sender: Peer | null): boolean {
  return sender !== null && (sender.uid === 0 || sender.uid === effectiveUid());
}

function secretName(): string {
  return `notify-${process.getBuiltinModule('node:crypto').randomBytes(16).toString('hex')}`;
}

function inodeOf(path: string): number | null {
  return lstatSync(path, { throwIfNoEntry: false })?.ino ?? null;
}

function removeFile(path: string, inode: number | null): void {
  try {
    if (inode !== null && lstatSync(path).ino === inode) unlinkSync(path);
  } catch {
    // Removed already, with its directory.
  }
}
