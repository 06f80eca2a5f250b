/**
 * Detects processes that a supervisor restarts. It is named instead of fought.
 */
import type { Holder, ParentProcess, Socket } from '../model/facts.ts';
import type { Question } from '../model/verdict.ts';
import type { Os } from '../os/os.ts';
import type { ProcessHandle } from '../os/processes.ts';

/** A process that has the port after it was made free. */
export interface Respawn {
  readonly pid: number;
  readonly command: string;
  /** The process that started both it and the one that was stopped, or null when they have nothing in common. */
  readonly supervisor: { readonly pid: number; readonly command: string; readonly argv: readonly string[] } | null;
}

/** How long somebody may take to come back and still be seen. */
const returnMs = 2_000;
/** How often the table of sockets is read meanwhile: the kernel tells nobody that a socket was made. */
const lookEveryMs = 100;

/** Inits that start services again. Any other process 1 only collects orphans. */
const restartingInits = /^(systemd|init|s6-svscan|runsvdir|runit|supervisord|monit|launchd)$/;
const shells = /^-?(sh|bash|dash|zsh|fish|ksh|ash|busybox)$/;

/**
 * @internal
 * Watches whether a stopped process comes back, as long as somebody who could start it again is there; returns at once when nobody is.
 * Reads the table of sockets only: no bind that a starting server could collide with.
 */
export async function watchForReturn(
  os: Os,
  question: Question,
  stopped: readonly Holder[],
  look: () => Question,
  signal: AbortSignal | undefined,
): Promise<Respawn | null> {
  const known = inodes(question.facts.sockets);
  const { pid, ancestors } = question.facts.asker;
  const suspects = supervisorsOf(os, stopped, [pid, ...ancestors]);
  try {
    const deadline = performance.now() + returnMs;
    while (performance.now() < deadline) {
      const alive = suspects.filter((each) => each.isAlive());
      if (alive.length === 0) return null;
      await os.events.wait({ processes: alive, timeoutMs: lookEveryMs, ...(signal !== undefined && { signal }) });
      const { sockets } = os.readFacts(question.request, { holders: 'none' });
      if (sockets.some((socket) => isFirm(socket) && !known.has(socket.inode)))
        return returned(look(), known, stopped, os);
    }
    return null;
  } finally {
    for (const each of suspects) each.close();
  }
}

/** @internal Who holds a socket that was not there before, or null. A socket that was inherited is no return: somebody still has to let it go. */
export function returned(
  question: Question,
  known: ReadonlySet<number>,
  stopped: readonly Holder[],
  os: Os,
): Respawn | null {
  for (const { socket } of question.blockers) {
    if (!isFirm(socket) || known.has(socket.inode)) continue;
    const holder = question.facts.holders.get(socket.inode)?.[0];
    if (holder === undefined) continue;
    const parents = new Set(stopped.flatMap((each) => each.parents.map((parent) => parent.pid)));
    const common = holder.parents.find((parent) => parents.has(parent.pid) && couldRestart(parent));
    return {
      pid: holder.pid,
      command: holder.command,
      supervisor: common === undefined ? null : withArguments(os, common),
    };
  }
  return null;
}

/** @internal The inode numbers of sockets, to tell new ones from these. */
export function inodes(sockets: readonly Socket[]): Set<number> {
  return new Set(sockets.map((socket) => socket.inode));
}

function isFirm(socket: Socket): boolean {
  return socket.inode !== 0 && (socket.state === 'LISTEN' || socket.state === 'BOUND');
}

function couldRestart(parent: ParentProcess): boolean {
  return parent.pid !== 1 || restartingInits.test(parent.command);
}

/** Those parents of the stopped processes that are still there and may start them again. */
function supervisorsOf(os: Os, stopped: readonly Holder[], own: readonly number[]): ProcessHandle[] {
  const parents = new Map(stopped.flatMap((each) => each.parents).map((parent) => [parent.pid, parent]));
  return [...parents.values()].flatMap((parent) => {
    if (!couldRestart(parent) || own.includes(parent.pid)) return [];
    const identity = os.processes.identify(parent.pid);
    const process = identity === null ? null : os.readProcess(identity);
    if (identity === null || process === null || process.command !== parent.command) return [];
    // A shell that somebody types into starts nothing by itself.
    if (
      shells.test(process.command) &&
      !process.argv.slice(1).some((argument) => !argument.startsWith('-') || argument === '-c')
    )
      return [];
    const handle = os.processes.open(identity);
    return handle === null ? [] : [handle];
  });
}

function withArguments(os: Os, parent: ParentProcess): NonNullable<Respawn['supervisor']> {
  const identity = os.processes.identify(parent.pid);
  const process = identity === null ? null : os.readProcess(identity);
  return { pid: parent.pid, command: parent.command, argv: process?.argv ?? [] };
}
