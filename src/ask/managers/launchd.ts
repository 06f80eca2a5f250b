/**
 * launchd of macOS, asked by launchctl(1) with our own rights: it lists the jobs of the domain that asks. Its answer for people is no
 * interface, so nothing is read of it but the three columns of `list`.
 */
import { shellWord } from '../../model/text.ts';
import { runCommand } from '../command.ts';
import { type Ask, complaint, confirmed, denied, questionMs } from './inquiry.ts';

/** One line of `launchctl list`: a job that runs. */
export interface Job {
  readonly pid: number;
  readonly label: string;
}

export const askLaunchd: Ask = async (inquiries, { asker, signal }) => {
  const result = await runCommand('launchctl', ['list'], { timeoutMs: questionMs, signal });
  const failed = result.failure !== null || result.status !== 0 ? complaint(result) : null;
  const jobs = failed === null ? parseJobs(result.stdout) : [];
  const domain = asker.uid === 0 ? 'system' : `gui/${asker.uid}`;
  return inquiries.map(({ holder, manager }) => {
    if (failed !== null) return denied(manager, `launchctl: ${failed}`);
    const family = [holder.pid, ...holder.parents.map(({ pid }) => pid)].filter((pid) => pid !== 1);
    const job = family.map((pid) => jobs.find((one) => one.pid === pid)).find((one) => one !== undefined);
    if (job === undefined) return denied(manager, 'launchctl lists no job that it is');
    return confirmed(manager, {
      name: job.label,
      order: {
        shown: `${asker.uid === 0 ? 'sudo ' : ''}launchctl bootout ${shellWord(`${domain}/${job.label}`)}`,
        work: { kind: 'command', program: 'launchctl', args: ['bootout', `${domain}/${job.label}`], uid: null },
      },
    });
  });
};

/** `PID	Status	Label`; a job that does not run has `-` as its pid. Applications are jobs, too, but nobody's services. */
export function parseJobs(text: string): Job[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, label] = /^(\d{1,10})\t-?\d+\t(\S+)$/.exec(line) ?? [];
    return pid === undefined || label === undefined || label.startsWith('application.')
      ? []
      : [{ pid: Number(pid), label }];
  });
}
