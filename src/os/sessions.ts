/**
 * The processes of a session (setsid(2)), such as everything that a command starts, known without doubt.
 */
import type { ProcessIdentity } from '../model/facts.ts';
import type { SignalOutcome } from './processes.ts';

/** One session. Its number is free for others when its last process is gone, so what is in it is proved at each call. */
export interface Session {
  readonly leader: ProcessIdentity;
  /** Sends a signal to each of its processes, in whatever process group it is. `denied` when there are some and none of them may be signalled. */
  signal(signal: NodeJS.Signals): SignalOutcome;
  /** Those that run; zombies do not count. */
  members(): readonly ProcessIdentity[];
  /** Its leader was a child of ours and its status has been read, so that the number is no longer kept for it by that. */
  leaderReaped(): void;
  /** Releases the descriptors. */
  close(): void;
}

export interface Sessions {
  /** The session of a child that was just started with `detached`. Null when it is gone already. */
  ofChild(pid: number): Session | null;
  /** The session of another process's child: its leader, and processes that were seen in it. Null when none of them is left. */
  of(leader: ProcessIdentity, seen: readonly ProcessIdentity[]): Session | null;
}
