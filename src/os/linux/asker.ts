/**
 * Who asks: this process, its user, and what it runs in.
 */
import type { Asker } from '../../model/facts.ts';
import { describeCgroups, outsideOf, readCgroupPaths } from './proc/cgroup.ts';
import { attempt, openProc, type Proc, ProcError } from './proc/proc.ts';
import { type Describer, openDescriber } from './proc/process.ts';

/** Who asks, for those that read without an endpoint. */
export function askerNow(): Asker {
  const proc = openProc('/proc');
  return readAsker(proc, openDescriber(proc, readPasswd));
}

export function readAsker(proc: Proc, describer: Describer): Asker {
  const uid = process.geteuid?.() ?? 0;
  return {
    pid: process.pid,
    uid,
    user: describer.userName(uid),
    cwd: cwd(proc),
    ancestors: describer.parents(process.pid).map(({ pid }) => pid),
    sudoUid: uid === 0 ? sudoUid() : null,
    unit: ownUnit(proc),
  };
}

/** sudo(8) sets it for what it runs; somebody who is not root has no use for it. */
function sudoUid(): number | null {
  const { SUDO_UID = '' } = process.env;
  return /^[1-9]\d{0,9}$/.test(SUDO_UID) ? Number(SUDO_UID) : null;
}

function ownUnit(proc: Proc): string | null {
  const paths = readCgroupPaths(proc, 'self');
  return paths === null ? null : describeCgroups(paths, outsideOf(paths, readCgroupPaths(proc, 1))).unit;
}

/** process.cwd() throws when the directory was removed; /proc then names it with ` (deleted)`. */
function cwd(proc: Proc): string {
  try {
    return process.cwd();
  } catch {
    return attempt(() => proc.link('self/cwd')) ?? '';
  }
}

/** The text of the table of users. */
export function readPasswd(): string {
  try {
    return openProc('/etc').text('passwd', 4_194_304);
  } catch (error) {
    // A container without users: their numbers have to do.
    if (error instanceof ProcError) return '';
    throw error;
  }
}
