/**
 * One process, described: what runs, where, as whom, since when, under which parents, unit and container.
 * Whatever vanishes while it is read leaves an empty field; a process that vanishes whole is null.
 */
import type { Holder, ParentProcess, ProcessIdentity } from '../../../model/facts.ts';
import { type CgroupFacts, describeCgroups, outsideOf, readCgroupPaths } from './cgroup.ts';
import { placeOf } from './living-thread.ts';
import { attempt, type Proc } from './proc.ts';
import { type ProcessStat, readStat } from './stat.ts';

/** An argv may be 2 MB long; nobody reads more than this. */
const argvLimit = 65_536;
/** Deeper than any process tree that a person made. */
const maxParents = 256;
/** USER_HZ: what /proc counts in on every architecture that Node runs on (proc_pid_stat(5)). */
const ticksPerSecond = 100;

const nowhere: CgroupFacts = { unit: null, userUnit: false, cgroup: null, container: null };

/** Everything about a process except what it holds. */
export type Description = Omit<Holder, 'descriptors' | 'accepts'>;

/** Describes processes, and remembers what several of them share. Use one for one reading. */
export interface Describer {
  /** Null when it is gone, or the number belongs to another process than `identity`. */
  describe(pid: number): Description | null;
  stat(pid: number): ProcessStat | null;
  /** The name of a user, or the number as text when /etc/passwd does not know it. */
  userName(uid: number): string;
  /** Nearest first, up to pid 1. */
  parents(pid: number): ParentProcess[];
}

/** @param passwd The path of the user table, so that a test can bring its own. */
export function openDescriber(proc: Proc, readPasswd: () => string): Describer {
  const stats = new Map<number, ProcessStat | null>();
  let names: Map<number, string> | undefined;
  let bootMs: number | undefined;
  let outside: readonly string[] | undefined;

  const stat = (pid: number): ProcessStat | null => {
    let known = stats.get(pid);
    if (known === undefined) {
      known = readStat(proc, pid);
      stats.set(pid, known);
    }
    return known;
  };
  const known = new Map<number, ParentProcess>();
  const parentOf = (pid: number, own: ProcessStat): ParentProcess => {
    let parent = known.get(pid);
    if (parent === undefined) {
      const argv = argvOf(proc, `${pid}`);
      parent = { pid, command: commandOf(own, () => argv), argv };
      known.set(pid, parent);
    }
    return parent;
  };
  const parents = (pid: number): ParentProcess[] => {
    const chain: ParentProcess[] = [];
    const seen = new Set([pid]);
    let next = stat(pid)?.parent ?? 0;
    while (next > 0 && !seen.has(next) && chain.length < maxParents) {
      seen.add(next);
      const parent = stat(next);
      if (parent === null) break;
      chain.push(parentOf(next, parent));
      next = parent.parent;
    }
    return chain;
  };
  const userName = (uid: number): string => {
    names ??= parsePasswd(readPasswd());
    return names.get(uid) ?? String(uid);
  };

  return {
    stat,
    parents,
    userName,
    describe(pid) {
      const now = stat(pid);
      if (now === null) return null;
      bootMs ??= Date.now() - uptimeMs(proc);
      const status = attempt(() => proc.text(`${pid}/status`)) ?? '';
      const uid = uidOf(status) ?? attempt(() => proc.owner(`${pid}`));
      if (uid === null) return null;
      const place = placeOf(proc, pid, now.state);
      const argv = argvOf(proc, place);
      const paths = readCgroupPaths(proc, pid);
      outside ??= outsideOf(readCgroupPaths(proc, 'self'), readCgroupPaths(proc, 1));
      const cgroup = paths === null ? nowhere : describeCgroups(paths, outside);
      const chain = parents(pid);
      return {
        pid,
        started: now.started,
        command: commandOf(now, () => argv),
        argv,
        cwd: attempt(() => proc.link(`${place}/cwd`)),
        uid,
        user: userName(uid),
        startedAtMs: Math.round(bootMs + (Number(now.started) * 1000) / ticksPerSecond),
        processState: place === `${pid}` ? now.state : (readStat(proc, place)?.state ?? now.state),
        parents: chain,
        unit: cgroup.unit,
        userUnit: cgroup.userUnit,
        cgroup: cgroup.cgroup,
        container: cgroup.container,
        tracer: tracerOf(status),
      };
    },
  };
}

/** Null when that process is gone, or the number belongs to another one now. */
export function sameProcess(describer: Describer, { pid, started }: ProcessIdentity): Description | null {
  const description = describer.describe(pid);
  return description?.started === started ? description : null;
}

/** Empty when it is not readable. */
function argvOf(proc: Proc, place: string): readonly string[] {
  return attempt(() => parseArgv(proc.read(`${place}/cmdline`, argvLimit))) ?? [];
}

/** The name that the kernel shows, but for Node 24 and later, which call their main thread, and so the process, `MainThread` or `node-MainThread`. */
function commandOf({ command }: ProcessStat, argv: () => readonly string[]): string {
  if (command !== 'MainThread' && command !== 'node-MainThread') return command;
  const [program = ''] = argv();
  return program.slice(program.lastIndexOf('/') + 1) || 'node';
}

/** NUL ends each argument. A program may write anything there (setproctitle), so the last may have no end. */
export function parseArgv(bytes: Buffer): string[] {
  if (bytes.length === 0) return [];
  const text = bytes.toString('utf8');
  const argv = text.split('\0');
  if (text.endsWith('\0')) argv.pop();
  // A program that writes its title over its arguments leaves a tail of NUL bytes.
  while (argv.length > 1 && argv.at(-1) === '') argv.pop();
  return argv;
}

/** The effective user of `Uid: real effective saved filesystem` (proc_pid_status(5)). */
function uidOf(status: string): number | null {
  const found = /^Uid:\s+\d+\s+(\d+)/m.exec(status)?.[1];
  return found === undefined ? null : Number(found);
}

/** `TracerPid: 0` when nobody traces it (proc_pid_status(5)). */
function tracerOf(status: string): number | null {
  return Number(/^TracerPid:\s+(\d+)/m.exec(status)?.[1] ?? 0) || null;
}

function uptimeMs(proc: Proc): number {
  const seconds = Number.parseFloat(attempt(() => proc.text('uptime')) ?? '');
  return Number.isFinite(seconds) ? seconds * 1000 : 0;
}

/** `name:password:uid:…` (passwd(5)); the first of several names for one number counts, as in getpwuid(3). */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':', 3);
    if (name === undefined || name === '' || uid === undefined || !/^\d+$/.test(uid)) continue;
    if (!names.has(Number(uid))) names.set(Number(uid), name);
  }
  return names;
}
