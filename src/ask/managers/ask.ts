/**
 * The one way of asking: every holder that looks managed is a question to its manager, which confirms or denies it. Asking changes nothing
 * and starts nothing.
 */
import type { Asker, Facts, Holder, Socket } from '../../model/facts.ts';
import type { Manager, ManagerKind } from '../../model/managers.ts';
import type { Question } from '../../model/verdict.ts';
import type { Inventory, Os } from '../../os/os.ts';
import type { Ask, Inquiry } from './inquiry.ts';
import { suspectsOf } from './suspects.ts';

/** Each is loaded when something looks managed by it: `rebind why` mostly needs none. */
const asks: Partial<Record<ManagerKind, () => Promise<Ask>>> = {
  systemd: async () => (await import('./systemd.ts')).askSystemd,
  docker: async () => (await import('./containers.ts')).askDocker,
  podman: async () => (await import('./containers.ts')).askPodman,
  launchd: async () => (await import('./launchd.ts')).askLaunchd,
  pm2: async () => (await import('./pm2.ts')).askPm2,
  supervisord: async () => (await import('./supervisord.ts')).askSupervisord,
};

/** What ends the asking. Read only when there is something to ask, because making a signal takes its time. */
export interface Until {
  readonly signal?: AbortSignal | undefined;
}

/** The same question, with what the managers say of its holders. At once where nothing looks managed. */
export async function askManagers(os: Os, question: Question, until: Until = {}): Promise<Question> {
  const { facts, blockers, managers } = question;
  if (managers.size === 0) return question;
  const sockets = blockers.map(({ socket }) => socket);
  const answered = await confirmAll(os, sockets, facts, managers, until.signal);
  return { ...question, managers: answered };
}

/** What the managers say of the holders of these sockets. @param suspected Who looks managed, by pid */
async function confirmAll(
  os: Os,
  sockets: readonly Socket[],
  facts: Pick<Facts, 'holders'> & { readonly asker: Asker },
  suspected: ReadonlyMap<number, Manager>,
  signal?: AbortSignal,
): Promise<ReadonlyMap<number, Manager>> {
  const byKind = new Map<ManagerKind, Inquiry[]>();
  const inquiries = new Map<number, Inquiry & { sockets: Socket[] }>();
  const holders = new Map<number, Holder>();
  for (const socket of sockets) {
    for (const holder of facts.holders.get(socket.inode) ?? []) {
      holders.set(holder.pid, holder);
      const manager = suspected.get(holder.pid);
      if (manager === undefined || manager.confirmed || asks[manager.kind] === undefined) continue;
      const known = inquiries.get(holder.pid);
      if (known !== undefined) {
        known.sockets.push(socket);
        continue;
      }
      const inquiry = { holder, manager, sockets: [socket] };
      inquiries.set(holder.pid, inquiry);
      byKind.set(manager.kind, [...(byKind.get(manager.kind) ?? []), inquiry]);
    }
  }
  if (inquiries.size === 0) return suspected;
  const answered = new Map(suspected);
  const asking = { os, asker: facts.asker, holders: [...holders.values()], signal };
  await Promise.all(
    [...byKind].map(async ([kind, list]) => {
      const ask = await asks[kind]?.();
      const managers = (await ask?.(list, asking)) ?? [];
      for (const [index, { holder }] of list.entries()) {
        const manager = managers[index];
        if (manager !== undefined) answered.set(holder.pid, manager);
      }
    }),
  );
  return answered;
}

/** What started the processes that have these sockets open, by pid. */
export function managersIn(
  os: Os,
  inventory: Pick<Inventory, 'holders' | 'asker'> & { readonly sockets: readonly Socket[] },
  signal?: AbortSignal,
): Promise<ReadonlyMap<number, Manager>> {
  const suspected = suspectsOf(os, [...inventory.holders.values()].flat(), inventory.asker);
  return confirmAll(os, inventory.sockets, inventory, suspected, signal);
}
