/**
 * One step of a plan as data: what it stops or removes, and what became of it.
 */
import type { Address, Holder, InetSocket, SocketState } from './facts.ts';
import type { ManagerKind, StopOrder } from './managers.ts';
import type { RemedyId } from './verdict.ts';

/** What became of a step. `skipped`: there was nothing to do any more; `refused`: it was never tried. */
export type Outcome = 'done' | 'failed' | 'skipped' | 'refused';

export interface ActResult {
  readonly outcome: Outcome;
  /** The reason of everything but a plain `done`, without a full stop. */
  readonly why: string | null;
}

/** A socket as a step names it. */
export interface SocketReference {
  readonly protocol: 'tcp' | 'udp' | 'unix';
  readonly state: SocketState;
  readonly local: Address;
  readonly remote: Address | null;
  readonly uid: number;
  readonly inode: number;
}

/** Whom or what a step touches. */
export type StepTarget =
  | { readonly kind: 'process'; readonly pid: number; readonly command: string; readonly user: string }
  | {
      readonly kind: 'manager';
      readonly manager: ManagerKind;
      readonly name: string;
      readonly pids: readonly number[];
    }
  | { readonly kind: 'sockets'; readonly sockets: readonly SocketReference[] }
  | { readonly kind: 'file'; readonly path: string };

/** One step of the plan. */
export interface PlannedStep {
  readonly remedy: RemedyId;
  /** What it does, one sentence without a full stop. Text that came from a process is raw. */
  readonly sentence: string;
  readonly target: StepTarget;
  /** Why it will never be done, or null. */
  readonly refusal: string | null;
  /** Why this step needs confirmation, or null when it needs none. */
  readonly doubt: string | null;
  /** What it needs to be carried out. */
  readonly work: Work;
  /** True when a step before it may be enough; `withNeeds` says so. */
  readonly onlyIfNeeded?: boolean;
}

export type Work =
  | { readonly kind: 'none' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'manager'; readonly order: StopOrder; readonly called: string }
  /** Marks sockets, so that nothing they leave can block. Each through any process that has it open. */
  | {
      readonly kind: 'mark';
      readonly sockets: readonly { readonly inode: number; readonly holders: readonly Holder[] }[];
    }
  | { readonly kind: 'stop'; readonly holder: Holder }
  | { readonly kind: 'destroy'; readonly sockets: readonly InetSocket[] }
  | { readonly kind: 'unlink'; readonly path: string; readonly inode: number | null };

/** What the plan has to know besides the question. */
export interface StepContext {
  /** Why a process is not plainly the asker's own to stop, by pid. */
  readonly doubts: ReadonlyMap<number, string>;
  readonly graceMs: number;
  /** How long leftovers may be waited for. */
  readonly timeoutMs: number;
  /** Clients are cut off, and who does not stop is killed. */
  readonly force: boolean;
}
