/**
 * Who seems to manage each holder: what can be told without asking anybody. Sync, and cheap where nothing looks like a manager.
 */
import type { Asker, Holder } from '../../model/facts.ts';
import { type Manager, managers } from '../../model/managers.ts';
import { type Suspicion, suspect } from '../../model/suspect.ts';
import type { Os } from '../../os/os.ts';

/** By pid of the holder. A watcher is confirmed here: the kernel says who started whom, and it can harm nobody but its own user's program. */
export function suspectsOf(os: Os, holders: Iterable<Holder>, asker: Asker): ReadonlyMap<number, Manager> {
  const found = new Map<number, Manager>();
  const processes = new Map<number, Holder | null>();
  const read = (pid: number): Holder | null => {
    let known = processes.get(pid);
    if (known === undefined) {
      const identity = os.processes.identify(pid);
      known = identity === null ? null : os.readProcess(identity);
      processes.set(pid, known);
    }
    return known;
  };
  for (const holder of holders) {
    if (found.has(holder.pid)) continue;
    const suspicion = suspect(holder, asker, (pid) => os.processes.executable(pid)) ?? jobOfLaunchd(os, holder);
    if (suspicion !== null) found.set(holder.pid, managerFrom(suspicion, holder, asker, read));
  }
  return found;
}

/** launchd names its jobs in their environment, and what they start inherits it. An application is a job, too, but what runs in it is not. */
function jobOfLaunchd(os: Os, { pid, parents }: Holder): Suspicion | null {
  if (os.platform !== 'darwin' || parents.at(-1)?.pid !== 1) return null;
  const label = os.processes.readVariable(pid, 'XPC_SERVICE_NAME');
  if (label === null || label === '0' || label === '' || label.startsWith('application.')) return null;
  return { kind: 'launchd', name: label, pid: null, parent: null, container: null, part: null };
}

function managerFrom(
  suspicion: Suspicion,
  holder: Holder,
  asker: Asker,
  read: (pid: number) => Holder | null,
): Manager {
  const { kind, pid, part } = suspicion;
  const { role } = managers[kind];
  const process = suspicion.parent === null || pid === null ? null : read(pid);
  return {
    kind,
    name: suspicion.name ?? (kind === 'debugger' && pid !== null ? (read(pid)?.command ?? null) : null),
    pid,
    confirmed: role !== 'service' && isCredible(process ?? holder, holder),
    unconfirmed: null,
    paused: false,
    part,
    order: null,
    // A test run that started the asker too is not stopped for one of its programs.
    process: role === 'watcher' && !asker.ancestors.includes(pid ?? 0) ? process : null,
  };
}

/** A process of the same user, or of root, has nothing to gain from a wrong name. */
function isCredible(process: Holder, holder: Holder): boolean {
  return process.uid === holder.uid || process.uid === 0;
}
