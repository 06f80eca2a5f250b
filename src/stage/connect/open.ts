/**
 * Opens a stage for causes of connecting.
 */
import { chmodSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { freezeInCgroup } from '../cgroup.ts';
import { openStage } from '../open.ts';
import type { ConnectStage, ConnectStaged, ConnectStagedFields } from './stage.ts';

/** A stage on this machine, or in the namespace that this process runs in. */
export function openConnectStage(): ConnectStage {
  const stage = openStage();
  return {
    ...stage,
    suspend,
    async freeze(pid) {
      const { thaw } = await freezeInCgroup(pid);
      stage.defer(thaw);
    },
    withFiles(files) {
      const mounts = Object.entries(files).map(([path, text], index) => {
        const copy = stage.file(`file-${index}`, text);
        chmodSync(copy, 0o644);
        return `mount --bind '${copy}' '${path}'`;
      });
      chmodSync(stage.directory(), 0o755);
      return ['unshare', '--mount', 'sh', '-c', `${mounts.join(' && ')} && exec "$@"`, 'sh'];
    },
    reached(fields: ConnectStagedFields): ConnectStaged {
      return {
        words: fields.words,
        description: fields.description,
        holders: [...(fields.holders ?? [])].sort((a, b) => a - b),
        from: fields.from ?? [],
        asUser: fields.asUser ?? [],
        environment: fields.environment ?? {},
        again: async () => {
          await fields.again?.();
        },
        [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose](),
      };
    },
  };
}

const patienceMs = 5_000;
const glanceMs = 2;

async function suspend(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The state is after the name, which may hold anything (proc_pid_stat(5)).
    if (stat[stat.lastIndexOf(')') + 2] === 'T') return;
    if (performance.now() > deadline) throw new Error(`process ${pid} did not stop`);
    await setTimeout(glanceMs);
  }
}
