/**
 * Reads the status of orphans that the kernel gives to hold, as pid 1 of a container or because it asked for them, so that none of them
 * stays a zombie. By pid, and never of a child that Node waits for.
 */
import { os } from '../os/index.ts';
import { exitOf } from './exit.ts';
import type { Faults } from './faults.ts';
import type { Generation } from './generation.ts';

/** Node reads the status of its own children as soon as its event loop turns: what nobody has read by then is an orphan. */
const patienceMs = 100;

export class Reaper {
  readonly #faults: Faults;
  readonly #guard: { readonly pid: number | undefined };
  readonly #generations: ReadonlyMap<number, Generation>;
  /** Zombies, and when they were first seen. */
  readonly #seen = new Map<number, number>();
  #isStarted = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    faults: Faults,
    guard: { readonly pid: number | undefined },
    generations: ReadonlyMap<number, Generation>,
  ) {
    this.#faults = faults;
    this.#guard = guard;
    this.#generations = generations;
  }

  start(): void {
    this.#faults.guard('Asking for orphans', () => os().orphans.adopt());
    this.#isStarted = true;
    process.on('SIGCHLD', this.look);
    this.look();
  }

  close(): void {
    process.off('SIGCHLD', this.look);
    clearTimeout(this.#timer);
  }

  /** Signals are merged, so all children are looked at. */
  readonly look = (): void => {
    if (this.#isStarted) this.#faults.guard('Reading the status of orphans', () => this.#reap());
  };

  #reap(): void {
    const { orphans } = os();
    const nowMs = performance.now();
    const zombies = orphans.exited().filter((pid) => !this.#isNodes(pid));
    for (const pid of this.#seen.keys()) if (!zombies.includes(pid)) this.#seen.delete(pid);
    for (const pid of zombies) {
      const sinceMs = nowMs - (this.#seen.get(pid) ?? nowMs);
      if (!this.#seen.has(pid)) this.#seen.set(pid, nowMs);
      // What served below a wrapper is certainly no child of ours to Node.
      const below = [...this.#generations.values()].find((one) => one.served(pid));
      if (sinceMs < patienceMs && below === undefined) continue;
      this.#seen.delete(pid);
      const reaped = orphans.reap(pid);
      if (reaped !== null) below?.servedExited(exitOf(reaped.code, reaped.signal));
    }
    clearTimeout(this.#timer);
    if (this.#seen.size > 0) this.#timer = setTimeout(this.look, patienceMs).unref();
  }

  /** True for a child that Node waits for. */
  #isNodes(pid: number): boolean {
    return (
      pid === this.#guard.pid || [...this.#generations.values()].some((one) => one.pid === pid && one.exit === null)
    );
  }
}
