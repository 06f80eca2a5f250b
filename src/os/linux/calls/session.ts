/**
 * The processes of a session, through descriptors and never by number alone.
 *
 * A number is not given away while a process has it as its pid, group or session (alloc_pid and free_pid in kernel/pid.c).
 * So when a session is proved to be there still, whatever was seen with its number before belongs to it.
 */
import type { ProcessIdentity } from '../../../model/facts.ts';
import type { ProcessHandle, SignalOutcome } from '../../processes.ts';
import type { Session, Sessions } from '../../sessions.ts';
import { openProc, type Proc, ProcError } from '../proc/proc.ts';
import { type ProcessStat, parseStat } from '../proc/stat.ts';
import { libc } from './libc.ts';
import { pidfdOf, processes } from './pidfd.ts';

/** include/uapi/linux/pidfd.h, from Linux 6.9: the group whose number the descriptor's process has, whether that one lives or not. */
const PIDFD_SIGNAL_PROCESS_GROUP = 4;
const EPERM = 1;
const ESRCH = 3;
/** A tree that forks faster than it is walked is killed in a few rounds: what was killed forks no more. */
const mostRounds = 50;

export const sessions: Sessions = {
  ofChild(pid) {
    const identity = processes.identify(pid);
    return identity === null ? null : new LinuxSession(identity, processes.open(identity), [], false);
  },
  of(leader, seen) {
    const handle = processes.open(leader);
    const known = seen.flatMap((one) => processes.open(one) ?? []);
    if (handle === null && known.length === 0) return null;
    return new LinuxSession(leader, handle, known, true);
  },
};

/** @internal `byGroup` false is for kernels before 6.9, and for tests of what they do. */
export class LinuxSession implements Session {
  readonly leader: ProcessIdentity;
  readonly #leaderHandle: ProcessHandle | null;
  /** Seen in it, so that one of them that lives proves that the number is still its own. */
  readonly #known = new Map<number, ProcessHandle>();
  #byGroup: boolean;
  #isReaped: boolean;
  #isOver = false;

  constructor(
    leader: ProcessIdentity,
    handle: ProcessHandle | null,
    known: readonly ProcessHandle[],
    isReaped: boolean,
    byGroup = true,
  ) {
    this.leader = leader;
    this.#leaderHandle = handle;
    for (const one of known) this.#known.set(one.identity.pid, one);
    this.#isReaped = isReaped;
    this.#byGroup = byGroup && handle !== null && pidfdOf(handle) !== null;
  }

  signal(signal: NodeJS.Signals): SignalOutcome {
    if (this.#isOver) return 'gone';
    const whole = this.#signalGroup(process.getBuiltinModule('node:os').constants.signals[signal]);
    let denied = whole === 'denied';
    let sent = whole === 'sent';
    for (let round = 0; round < mostRounds; round++) {
      // What is in the group has had it; shells with job control make groups of their own.
      const others = this.#look().filter(({ stat }) => whole === null || stat.group !== this.leader.pid);
      const outcomes = others.map(({ handle }) => handle.signal(signal));
      denied ||= outcomes.includes('denied');
      sent ||= outcomes.includes('sent');
      if (signal !== 'SIGKILL' || !outcomes.includes('sent')) break;
    }
    return sent ? 'sent' : denied ? 'denied' : 'gone';
  }

  members(): readonly ProcessIdentity[] {
    return this.#look().map(({ handle }) => handle.identity);
  }

  leaderReaped(): void {
    // What is in it is remembered, as a proof for later.
    const left = this.#look();
    this.#isReaped = true;
    if (left.length === 0) this.#isOver = true;
  }

  close(): void {
    this.#isOver = true;
    this.#leaderHandle?.close();
    for (const handle of this.#known.values()) handle.close();
    this.#known.clear();
  }

  /** All processes of the session that run, each held. Proved after they were held: the number was its own until then. */
  #look(): { readonly handle: ProcessHandle; readonly stat: ProcessStat }[] {
    if (this.#isOver) return [];
    const proc = openProc('/proc');
    const found: { handle: ProcessHandle; stat: ProcessStat; isNew: boolean }[] = [];
    for (const pid of proc.pids()) {
      if (isElsewhere(pid, this.leader.pid)) continue;
      const stat = statOf(proc, pid);
      if (stat === null || stat.session !== this.leader.pid || stat.state === 'X') continue;
      // A process of another start time has the number: then nothing of this session was left when it was given away.
      if (pid === this.leader.pid && stat.started !== this.leader.started) return this.#nothing(found);
      const known = this.#known.get(pid);
      const isKnown = known !== undefined && known.identity.started === stat.started;
      const handle = isKnown ? known : processes.open({ pid, started: stat.started });
      if (handle === null) continue;
      if (handle.isAlive()) found.push({ handle, stat, isNew: !isKnown });
      else if (!isKnown) handle.close();
    }
    if (!this.#isStillOurs()) return this.#nothing(found);
    const alive = new Set(found.map(({ handle }) => handle));
    for (const [pid, handle] of this.#known)
      if (!alive.has(handle)) {
        this.#known.delete(pid);
        handle.close();
      }
    for (const { handle } of found) this.#known.set(handle.identity.pid, handle);
    // Nothing enters a session from outside (setsid(2)): one without a process that runs is over for good.
    if (found.length === 0 && this.#isReaped) this.#isOver = true;
    return found;
  }

  #nothing(found: readonly { readonly handle: ProcessHandle; readonly isNew: boolean }[]): [] {
    for (const { handle, isNew } of found) if (isNew) handle.close();
    this.#isOver = true;
    return [];
  }

  #isStillOurs(): boolean {
    if (!this.#isReaped) return true;
    if (this.#leaderHandle?.isAlive() === true) return true;
    const group = this.#signalGroup(0);
    if (group === 'sent' || group === 'denied') return true;
    return [...this.#known.values()].some((handle) => handle.isAlive());
  }

  /** Null when the kernel, or this descriptor, cannot reach the whole group at once; signal 0 only asks whether it is there. */
  #signalGroup(number: number): SignalOutcome | null {
    const pidfd = this.#leaderHandle === null || !this.#byGroup ? null : pidfdOf(this.#leaderHandle);
    if (pidfd !== null) {
      if (libc().pidfdSendSignal(pidfd, number, PIDFD_SIGNAL_PROCESS_GROUP) === 0) return 'sent';
      const errno = libc().errno();
      if (errno === ESRCH) return 'gone';
      if (errno === EPERM) return 'denied';
      // EINVAL: Linux before 6.9.
      this.#byGroup = false;
    }
    if (this.#isReaped) return null;
    try {
      // The leader is a child of ours whose status is not read, which keeps the number.
      process.kill(-this.leader.pid, number);
      return 'sent';
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ESRCH') return 'gone';
      if (code === 'EPERM') return 'denied';
      throw error;
    }
  }
}

/** True for a process of another session, or that is gone: getsid(2) says it without a file to open and to parse. */
function isElsewhere(pid: number, session: number): boolean {
  const found = libc().getsid(pid);
  // A security module may refuse to tell (EPERM).
  return found === -1 ? libc().errno() === ESRCH : found !== session;
}

/** Null when it is gone or hidden. @throws {ProcError} when there is no descriptor left to read it with: that is no sign that it is gone. */
function statOf(proc: Proc, pid: number): ProcessStat | null {
  try {
    return parseStat(proc.text(`${pid}/stat`));
  } catch (error) {
    if (error instanceof ProcError && !['EMFILE', 'ENFILE', 'ENOMEM'].includes(error.code)) return null;
    throw error;
  }
}
