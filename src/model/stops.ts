/**
 * How the holders of a port are stopped, the same for the advice of `why` and for the plan of `free`: through the manager that would start
 * them again, together with the watcher that runs them, one by one, or not at all. Pure.
 */
import type { Asker, Holder } from './facts.ts';
import { managedBy } from './manager-words.ts';
import { type Manager, managers } from './managers.ts';
import { neverAsked } from './may-end.ts';
import { neverEnded } from './suspect.ts';

export type Stop =
  /** The manager is told to stop this program, and nothing else. */
  | { readonly kind: 'order'; readonly manager: Manager; readonly holders: readonly Holder[] }
  /** The watcher ends, and its program with it. */
  | {
      readonly kind: 'watcher';
      readonly manager: Manager;
      readonly watcher: Holder;
      readonly holders: readonly Holder[];
    }
  /** The process is asked to end. */
  | { readonly kind: 'process'; readonly holder: Holder; readonly manager: Manager | null }
  /** It is left alone, and something else would help. */
  | { readonly kind: 'never'; readonly holder: Holder; readonly manager: Manager | null; readonly why: string };

/** How each of these processes is stopped; those of one manager together. */
export function stopsOf(holders: readonly Holder[], known: ReadonlyMap<number, Manager>, asker: Asker): Stop[] {
  const together = new Map<string, { manager: Manager; holders: Holder[] }>();
  const alone: Stop[] = [];
  for (const holder of holders) {
    const manager = known.get(holder.pid) ?? null;
    if (manager !== null && isTogether(manager)) {
      const key = `${manager.kind} ${manager.name} ${manager.pid}`;
      const group = together.get(key);
      if (group === undefined) together.set(key, { manager, holders: [holder] });
      else group.holders.push(holder);
      continue;
    }
    const why = whyNever(holder, manager, asker);
    // What runs below a hold is left alone with it: that is said once.
    if (manager?.kind === 'hold' && alone.some((stop) => isUnder(stop, manager))) continue;
    alone.push(why === null ? { kind: 'process', holder, manager } : { kind: 'never', holder, manager, why });
  }
  const groups = [...together.values()].map(({ manager, holders: group }): Stop => {
    const { process: watcher } = manager;
    if (watcher === null || manager.order !== null) return { kind: 'order', manager, holders: group };
    return { kind: 'watcher', manager, watcher, holders: group };
  });
  // A watcher that has the port open itself is one of the holders already.
  const held = new Set(holders.map(({ pid }) => pid));
  return [
    ...groups.flatMap((stop) =>
      stop.kind === 'watcher' && held.has(stop.watcher.pid)
        ? stop.holders.map((holder): Stop => ({ kind: 'process', holder, manager: null }))
        : [stop],
    ),
    ...alone,
  ];
}

function isUnder(stop: Stop, { kind, pid }: Manager): boolean {
  return stop.kind === 'never' && stop.manager?.kind === kind && stop.manager.pid === pid;
}

/** The holders that a stop is about. */
export function holdersIn(stop: Stop): readonly Holder[] {
  return stop.kind === 'order' || stop.kind === 'watcher' ? stop.holders : [stop.holder];
}

function isTogether({ confirmed, order, process, kind }: Manager): boolean {
  return confirmed && (order !== null || (managers[kind].role === 'watcher' && process !== null));
}

/** Why a process is not asked to end, whatever is asked for: for what it is to the asker, or for what it is to others. Null when it may be. */
export function whyNever(holder: Holder, manager: Manager | null, asker: Asker): string | null {
  const own = neverAsked(holder, asker);
  if (own !== null) return own;
  if (manager !== null && managers[manager.kind].role === 'keeper') return managedBy(manager);
  return neverEnded(holder, manager);
}

/** The main process of a container, seen from inside. */
export function isMainProcess({ pid, command }: Holder): boolean {
  return pid === 1 && !/^(systemd|init|launchd)$/.test(command);
}

/** Why somebody should say yes before these are stopped through their manager, or null. */
export function doubtAboutManager(manager: Manager): string | null {
  if (['ssh', 'lima', 'debugger'].includes(manager.kind)) return managedBy(manager);
  if (!manager.confirmed)
    return managers[manager.kind].again === null && managers[manager.kind].role !== 'service'
      ? null
      : managedBy(manager);
  const { role, again } = managers[manager.kind];
  // A test run is at work; it is no server that was left behind.
  if (role === 'watcher' && again === null) return `${managedBy(manager)}, and the whole test run would stop`;
  return role === 'service' ? `${managers[manager.kind].called} runs it, so others may rely on it` : null;
}
