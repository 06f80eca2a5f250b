/**
 * The processes of one run of the command: everything that it started and that stayed in its session. They are signalled together, the guard
 * knows them, and the end of the last one is waited for.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { os } from '../os/index.ts';
import type { Session } from '../os/sessions.ts';
import type { Faults } from './faults.ts';
import type { Guard } from './guard.ts';
import type { Started } from './spawn.ts';

/** How often the end of a session is looked for; there is no event for it. */
const sessionCheckMs = 20;
/** What is in the pipe of a command that is gone is read at once. */
const lastWordsMs = 100;

export class CommandSession {
  readonly #stderr: Started['stderr'];
  readonly #guard: Guard;
  readonly #faults: Faults;
  readonly #onNote: (sentence: string) => void;
  /** Null when it did not start. */
  readonly #session: Session | null;

  constructor({ child, stderr }: Started, guard: Guard, faults: Faults, onNote: (sentence: string) => void) {
    this.#stderr = stderr;
    this.#guard = guard;
    this.#faults = faults;
    this.#onNote = onNote;
    this.#session = child.pid === undefined ? null : os().sessions.ofChild(child.pid);
    if (this.#session !== null) guard.watch(this.#session.leader);
  }

  /** True when processes of it are there. */
  hasLeft(): boolean {
    return this.#session !== null && this.#session.members().length > 0;
  }

  /** Sends a signal to every process of it. */
  signal(signal: NodeJS.Signals): void {
    if (this.#session?.signal(signal) === 'denied')
      this.#onNote(`Not permitted to send ${signal} to the command: its processes belong to another user now`);
  }

  /** Node has read the status of the command's own process. Its number is kept only by what it left behind. */
  leaderReaped(): void {
    if (this.#session === null) return;
    this.#session.leaderReaped();
    this.#tellGuard();
  }

  /** True when no process of it is left; false when the time is over. `leader` is over when the command's own process has ended. */
  async ended(leader: { readonly exited: Promise<unknown>; readonly isOver: () => boolean }, withinMs: number) {
    if (this.#session === null) return true;
    const until = performance.now() + withinMs;
    for (;;) {
      // What cannot be looked at is not gone.
      const left = this.#faults.guard('Looking for what is left of the command', () => this.#tellGuard());
      if (leader.isOver() && left === false) return true;
      const leftMs = until - performance.now();
      if (leftMs <= 0) return false;
      await Promise.race([
        sleep(Math.min(sessionCheckMs, leftMs)),
        leader.isOver() ? sleep(sessionCheckMs) : leader.exited,
      ]);
    }
  }

  /** Nothing of it is left. */
  close(): void {
    if (this.#session === null) return;
    this.#guard.forget(this.#session.leader);
    this.#session.close();
  }

  /** Reads what it wrote last. What has stderr open still is no part of the command any more, and must not keep hold alive. */
  async lastWords(): Promise<void> {
    const stderr = this.#stderr;
    if (stderr === null || stderr.destroyed) return;
    if (!stderr.isPaused())
      await Promise.race([new Promise((resolve) => stderr.once('close', resolve)), sleep(lastWordsMs)]);
    stderr.destroy();
  }

  #tellGuard(): boolean {
    if (this.#session === null) return false;
    const members = this.#session.members();
    if (members.length > 0) this.#guard.watch(this.#session.leader, members);
    return members.length > 0;
  }
}
