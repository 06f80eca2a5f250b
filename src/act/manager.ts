/**
 * Telling a manager to stop one program: the order is data, and was made from what the manager itself confirmed.
 */
import { runCommand } from '../ask/command.ts';
import { complaint } from '../ask/managers/inquiry.ts';
import type { StopOrder } from '../model/managers.ts';
import type { ActResult } from '../model/step.ts';
import type { Os } from '../os/os.ts';

/** Tells it, and waits until it says that it is done. @param called What it is called in a complaint. */
export async function stopManaged(
  os: Os,
  { work }: StopOrder,
  called: string,
  graceMs: number,
  signal: AbortSignal | undefined,
): Promise<ActResult> {
  // The managers have a grace of their own (90 s for systemd, 10 s for docker), after which they kill.
  const timeoutMs = Math.max(graceMs, 10_000) + 5_000;
  try {
    if (work.kind === 'pm2') await (await import('../ask/managers/pm2.ts')).stopInPm2(os, work, timeoutMs, signal);
    else if (work.kind === 'supervisord')
      await (await import('../ask/managers/supervisord.ts')).stopInSupervisord(os, work, timeoutMs, signal);
    else {
      const result = await runCommand(work.program, work.args, { timeoutMs, uid: work.uid, signal });
      if (result.failure !== null || result.status !== 0)
        return { outcome: 'failed', why: `${work.program}: ${complaint(result)}` };
    }
    return { outcome: 'done', why: null };
  } catch (error) {
    signal?.throwIfAborted();
    return { outcome: 'failed', why: `${called}: ${error instanceof Error ? error.message : String(error)}` };
  }
}
