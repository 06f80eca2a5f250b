/**
 * The exit codes of every command, in one table that docs/cli.md and the man page print.
 */

/** Over several endpoints the worst one counts. `hold` leaves with the status of the command it ran. */
export const exit = {
  /** `why`, `free`: bindable now. `wait`: it came true. The others: done. */
  ok: 0,
  /** `why`: blocked. `free`: still blocked. `wait`: timed out. */
  blocked: 1,
  /** The command line was wrong; nothing was done. */
  usage: 2,
  /** Could not tell: the system would not show enough, or a system call failed. */
  unknown: 3,
  /** Not supported on this platform or machine. */
  unsupported: 4,
} as const;

export type ExitCode = number;

/** What the documentation says about each code. */
export const exitMeanings: readonly { readonly code: number; readonly meaning: string }[] = [
  { code: exit.ok, meaning: 'The port can be bound now; for the other commands: done' },
  {
    code: exit.blocked,
    meaning:
      'The port is blocked, or still blocked; wait: timed out; reach: no client gets through; check: there is a fault',
  },
  { code: exit.usage, meaning: 'The command line was wrong; nothing was done' },
  { code: exit.unknown, meaning: 'Could not tell: the system would not show enough, or a system call failed' },
  { code: exit.unsupported, meaning: 'Not supported on this platform or machine' },
  { code: 130, meaning: 'Interrupted with Ctrl-C (the signal is raised again, after cleaning up)' },
];
