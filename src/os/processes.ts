/**
 * Processes, each known by its identity.
 */
import type { ProcessIdentity } from '../model/facts.ts';

/** `gone`: it does not exist any more, or the number belongs to another process now. `denied`: it is there and we may not. */
export type SignalOutcome = 'sent' | 'gone' | 'denied';

/** A process held by a pidfd (or by start-time checks where there is none), so that no other process can be meant. */
export interface ProcessHandle extends Disposable {
  readonly identity: ProcessIdentity;
  /** False for a zombie too: its sockets are closed. */
  isAlive(): boolean;
  signal(signal: NodeJS.Signals): SignalOutcome;
  /** Copies one of its descriptors into this process (pidfd_getfd(2)), close-on-exec. Null when it has no such descriptor or we may not: `why` is the errno name. */
  takeDescriptor(descriptor: number): { readonly fd: number } | { readonly fd: null; readonly why: string };
  /** Releases the pidfd. */
  close(): void;
}

export interface Processes {
  /** Null when that process is gone, or the number belongs to another process now. */
  open(identity: ProcessIdentity): ProcessHandle | null;
  /** The identity of a running process, null when there is none of that number. */
  identify(pid: number): ProcessIdentity | null;
  /** The path of the program that a process runs (proc_pid_exe(5)); null when it is gone or we may not see it. */
  executable(pid: number): string | null;
  /** The processes of a session (setsid(2)), as far as they can be seen. */
  inSession(session: number): readonly number[];
  /** A process and everything that it started, as far as the kernel still knows. */
  tree(pid: number): readonly number[];
  /** Every process that has one of these sockets open, as far as they can be seen. */
  withSockets(inodes: readonly number[]): readonly ProcessIdentity[];
  /** Those of these processes that have a file open for writing, as far as they can be seen. @param path Without links */
  writing(pids: readonly number[], path: string): readonly number[];
  /** The paths of Unix sockets that a process listens on, as it named them; empty when it is gone or may not be looked into. */
  listeningPaths(pid: number): readonly string[];
  /** A variable of the environment it was started with; null when it has none, or may not be looked into. */
  readVariable(pid: number, name: string): string | null;
  /** How this process stands to the terminal of its session: a background job must not read from it; `none` also when it was closed (credentials(7)). */
  terminal(): 'foreground' | 'background' | 'none';
  /** True when the kernel shows that it waits for input on the socket with this inode; false when not, and when it cannot be told. */
  waitsForInput(pid: number, inode: number): boolean;
}
