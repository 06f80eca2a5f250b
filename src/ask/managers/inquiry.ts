/**
 * What is asked of managers, and whom we may ask.
 */
import type { Asker, Holder, Socket } from '../../model/facts.ts';
import type { Manager } from '../../model/managers.ts';
import type { Os } from '../../os/os.ts';

/** One holder that looks managed: the question. */
export interface Inquiry {
  readonly holder: Holder;
  readonly manager: Manager;
  /** The sockets in question that it has open. */
  readonly sockets: readonly Socket[];
}

/** Who asks, and how. */
export interface Asking {
  readonly os: Os;
  readonly asker: Asker;
  /** Every holder in question. */
  readonly holders: readonly Holder[];
  readonly signal: AbortSignal | undefined;
}

/** Asks one kind of manager about all that looks managed by it. */
export type Ask = (inquiries: readonly Inquiry[], asking: Asking) => Promise<readonly Manager[]>;

/** Asking who runs something must not take long. */
export const questionMs = 5_000;

export function confirmed(manager: Manager, more: Partial<Manager>): Manager {
  return { ...manager, confirmed: true, unconfirmed: null, ...more };
}

/** @param why A sentence in brackets: "docker does not know it". */
export function denied(manager: Manager, why: string): Manager {
  return { ...manager, confirmed: false, unconfirmed: why };
}

/**
 * How a manager of this user is asked: as ourselves, as the user who called sudo, or not at all, because nothing is asked of another user's
 * manager with our rights.
 */
export function askAs(uid: number, { uid: own, sudoUid }: Asker): 'ourselves' | number | null {
  if (uid === own) return 'ourselves';
  return own === 0 && uid === sudoUid ? uid : null;
}

/** The process, or one that it descends from. */
export function isFamily(holder: Holder, pid: number): boolean {
  return pid > 0 && (holder.pid === pid || holder.parents.some((parent) => parent.pid === pid));
}

/** The holder and those above it, up to the manager that started them all; nobody when it did not. */
export function familyBelow({ pid, parents }: Holder, manager: number): ReadonlySet<number> {
  const at = parents.findIndex((parent) => parent.pid === manager);
  return new Set(at < 0 ? [] : [pid, ...parents.slice(0, at).map((parent) => parent.pid)]);
}

/** The last line of a complaint. */
export function complaint(result: {
  readonly stderr: string;
  readonly status: number | null;
  readonly failure: string | null;
}): string {
  const last = result.stderr.trim().split('\n').at(-1) ?? '';
  return result.failure ?? (last === '' ? `it exited with status ${result.status}` : last);
}
