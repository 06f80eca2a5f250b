/**
 * Real processes, sockets and network namespaces that bring about why a client cannot connect. Types only; open.ts builds one.
 */
import type { Need, Stage } from '../stage.ts';

/** What a stage needs of the machine beside what those of stage.ts do. */
export type ConnectNeed = Need;

/** A situation that stands. Disposing ends every process, socket and namespace of its stage. */
export interface ConnectStaged extends AsyncDisposable {
  /** What to type after `rebind reach`: the target, then flags. */
  readonly words: readonly string[];
  /** What stands now, one sentence without a full stop. */
  readonly description: string;
  /** Every process that the answer must name among the holders of its listeners, ascending. */
  readonly holders: readonly number[];
  /** What to put before the command so that it asks from the right place, such as nsenter(1). */
  readonly from: readonly string[];
  /** What to put between `from` and the command so that it asks without rights, where that is tried; empty otherwise. */
  readonly asUser: readonly string[];
  /** Variables that the command gets beside those of this process, such as http_proxy. */
  readonly environment: Readonly<Record<string, string>>;
  /** Makes it as it was before the last question, where asking changes it. */
  again(): Promise<void>;
}

/** What a stage hands over; `open.ts` adds the rest. */
export interface ConnectStagedFields {
  readonly words: readonly string[];
  readonly description: string;
  readonly holders?: readonly number[];
  readonly from?: readonly string[];
  readonly asUser?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly again?: () => Promise<unknown>;
}

/** Makes what a cause of connecting needs, and ends all of it. */
export interface ConnectStage extends Stage {
  /** Stops a process of this stage (SIGSTOP), and resolves when it is stopped. */
  suspend(pid: number): Promise<void>;
  /** Freezes a process of this stage in a cgroup of its own, as `docker pause` does. Needs `cgroup`. */
  freeze(pid: number): Promise<void>;
  /** What to put before a command so that it sees these texts in place of files of this machine. Needs `network`. */
  withFiles(files: Readonly<Record<string, string>>): readonly string[];
  /** Ends the building: what stands, with its disposal. */
  reached(fields: ConnectStagedFields): ConnectStaged;
}
