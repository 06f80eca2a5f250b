/**
 * Processes whose parent has exited, and that the kernel gives to us.
 */

/** How a process ended: a status, or the number of the signal that killed it. */
export interface ReapedProcess {
  readonly pid: number;
  readonly code: number | null;
  readonly signal: number | null;
}

export interface Orphans {
  /** Asks for all orphans below this process (PR_SET_CHILD_SUBREAPER in prctl(2)). False where it cannot be; pid 1 gets them without asking. */
  adopt(): boolean;
  /** Children of this process that have exited and whose status nobody has read (zombies). */
  exited(): readonly number[];
  /** Reads the status of one of them (waitpid(2)); null when somebody else has read it. */
  reap(pid: number): ReapedProcess | null;
}
