/**
 * Where hold writes what it tells: its stderr, which may be full, slow, stopped or gone for as long as hold runs.
 *
 * Nothing here waits and nothing throws. Lines of hold that cannot be written are dropped and counted, and the number is told when writing
 * works again. What the command writes is passed on whole: it waits while nobody reads, and ends when nobody ever will.
 *
 * Not Node's own stream: that makes a pipe non-blocking for every program that has the same one, and a stopped terminal would stop hold.
 */
import { Writable } from 'node:stream';
import { isatty, WriteStream } from 'node:tty';
import { os } from '../os/index.ts';
import type { Output } from './io.ts';

const stderr = 2;
/** How often a full pipe is tried again. */
const againMs = 20;
/** Lines of hold that wait for a reader that is slow. */
const mostWaiting = 100;

/** Told when the log fails, once until it works again. */
type OnLost = (error: Error) => void;

export class Log extends Writable implements Output {
  readonly isTTY = isatty(stderr);
  /** True when the command should write here instead of to our own descriptor: only a pipe or a socket can be passed on unchanged. */
  readonly passesOn: boolean;
  onLost: OnLost = () => {};
  readonly #fd: number;
  readonly #ownLines: Buffer[] = [];
  #dropped = 0;
  #isLost = false;
  /** A line was cut off in its middle. */
  #isTorn = false;
  #pending: { bytes: Buffer; readonly done: (error?: Error) => void } | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    super();
    const { streams } = os();
    const kind = streams.kindOf(stderr);
    this.passesOn = kind === 'pipe' || kind === 'socket';
    const own = kind === 'pipe' || kind === 'terminal' ? streams.openWithoutWaiting(stderr) : null;
    this.#fd = own ?? stderr;
    // Its listeners are told; without one, Node would end the process.
    this.on('error', () => {});
  }

  /** How many colours the terminal has, for util.styleText. */
  getColorDepth(): number {
    return WriteStream.prototype.getColorDepth.call(this as unknown as WriteStream);
  }

  /** A line of hold. */
  tell(line: string): void {
    if (this.#ownLines.length >= mostWaiting) this.#drop('EAGAIN');
    else this.#ownLines.push(Buffer.from(`${line}\n`));
    this.#work();
  }

  /** Resolves when everything is written, or cannot be within this time. */
  async flush(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    while (this.#timer !== undefined && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, againMs));
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.#pending = { bytes: chunk, done };
    this.#work();
  }

  /** Writes what can be written, and tries again later when that is not all. */
  #work(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#writePending() && this.#writeOwn()) return;
    this.#timer = setTimeout(() => this.#work(), againMs);
    // Without a reader hold ends all the same.
    this.#timer.unref();
  }

  /** What the command wrote. False when it has to wait. */
  #writePending(): boolean {
    while (this.#pending !== null) {
      const { bytes, done } = this.#pending;
      const written = os().streams.writeWithoutWaiting(this.#fd, bytes);
      if (written === 'EAGAIN') return false;
      if (typeof written === 'number' && written < bytes.length) {
        this.#pending.bytes = bytes.subarray(written);
        continue;
      }
      this.#pending = null;
      if (typeof written === 'number') done();
      else {
        this.#lost(written);
        done(failure(written));
      }
    }
    return true;
  }

  #writeOwn(): boolean {
    for (;;) {
      const [line] = this.#ownLines;
      if (line === undefined) return true;
      const dropped =
        this.#dropped === 0 ? '' : `rebind: ${this.#dropped} lines of hold before this one could not be written\n`;
      const whole = Buffer.concat([Buffer.from(`${this.#isTorn ? '\n' : ''}${dropped}`), line]);
      const written = os().streams.writeWithoutWaiting(this.#fd, whole);
      if (written === 'EAGAIN') return false;
      this.#ownLines.shift();
      if (written === whole.length) {
        this.#dropped = 0;
        this.#isTorn = false;
        this.#isLost = false;
      } else {
        this.#isTorn ||= typeof written === 'number' && written > 0;
        this.#drop(typeof written === 'number' ? 'ENOSPC' : written);
      }
    }
  }

  #drop(code: string): void {
    this.#dropped += 1;
    this.#lost(code);
  }

  #lost(code: string): void {
    if (this.#isLost) return;
    this.#isLost = true;
    // Not now: telling it is a line, too.
    setImmediate(() => this.onLost(failure(code)));
  }
}

const reasons: Readonly<Record<string, string>> = {
  EPIPE: 'no process reads it any more',
  ECONNRESET: 'no process reads it any more',
  EAGAIN: 'no process reads it at the moment',
  ENOSPC: 'its disk is full',
  EDQUOT: 'its disk quota is used up',
  EFBIG: 'its file may not become larger',
  EIO: 'its terminal or disk failed',
};

function failure(code: string): Error {
  return Object.assign(new Error(`${reasons[code] ?? 'it cannot be written'} (${code})`), { code, syscall: 'write' });
}
