/**
 * Ending a process that has a port: the only code that signals one. Each is held by its identity, so that no other can be meant.
 */
import type { ProcessIdentity } from '../model/facts.ts';
import type { Os } from '../os/os.ts';
import type { ProcessHandle, SignalOutcome } from '../os/processes.ts';

/** Asks one process to finish. One that is stopped (Ctrl-Z) is continued, because it takes no signal before. */
export function askToEnd(
  os: Os,
  handle: ProcessHandle,
  { by = 'SIGTERM', state }: { readonly by?: NodeJS.Signals; readonly state?: string } = {},
): SignalOutcome {
  const outcome = handle.signal(by);
  // T and t of proc_pid_stat(5). A debugger that holds it keeps it.
  if (outcome === 'sent' && /^[tT]$/.test(state ?? os.readProcess(handle.identity)?.processState ?? ''))
    handle.signal('SIGCONT');
  return outcome;
}

/** Leaves no choice. */
export function kill(handle: ProcessHandle): SignalOutcome {
  return handle.signal('SIGKILL');
}

/** Waits until all have ended, or the time is over. @returns Those that are still there. Rejects with the signal's reason. */
export async function waitForEnd(
  os: Os,
  handles: readonly ProcessHandle[],
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<readonly ProcessHandle[]> {
  const until = performance.now() + timeoutMs;
  for (;;) {
    const alive = handles.filter((handle) => handle.isAlive());
    const leftMs = until - performance.now();
    if (alive.length === 0 || leftMs <= 0) return alive;
    await os.events.wait({ processes: alive, timeoutMs: leftMs, ...(signal !== undefined && { signal }) });
  }
}

/** Asks processes to finish, and waits. What does not end in time is left alone. @returns Those that are still there. */
export async function endAll<P extends ProcessIdentity>(
  os: Os,
  processes: readonly P[],
  graceMs: number,
  by: NodeJS.Signals = 'SIGTERM',
): Promise<readonly P[]> {
  const open = processes.flatMap((identity) => {
    const handle = os.processes.open(identity);
    return handle === null ? [] : [{ identity, handle }];
  });
  try {
    for (const { handle } of open) askToEnd(os, handle, { by });
    const left = await waitForEnd(
      os,
      open.map(({ handle }) => handle),
      graceMs,
    );
    return open.filter(({ handle }) => left.includes(handle)).map(({ identity }) => identity);
  } finally {
    for (const { handle } of open) handle.close();
  }
}
