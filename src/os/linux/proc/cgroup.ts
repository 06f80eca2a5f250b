/**
 * What the cgroup of a process tells: the systemd unit and the container that it runs in (cgroups(7), systemd.slice(5)).
 */
import { readFileSync, statSync } from 'node:fs';
import type { Container } from '../../../model/facts.ts';
import { attempt, type Proc } from './proc.ts';

export interface CgroupFacts {
  readonly unit: string | null;
  readonly userUnit: boolean;
  /** Without its name, which a cgroup does not tell. */
  readonly container: Container | null;
}

/** The paths of one process: that of cgroup2 (`0::`), and all others. */
export interface CgroupPaths {
  readonly unified: string | null;
  readonly others: readonly string[];
}

/** Null when the process is gone or hidden. */
export function readCgroupPaths(proc: Proc, pid: number): CgroupPaths | null {
  const text = attempt(() => proc.text(`${pid}/cgroup`));
  return text === null ? null : parseCgroupPaths(text);
}

/** Lines of `hierarchy:controllers:path`; the path may hold colons. */
export function parseCgroupPaths(text: string): CgroupPaths {
  let unified: string | null = null;
  const others: string[] = [];
  for (const line of text.split('\n')) {
    const parsed = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (parsed === null) continue;
    const [, hierarchy, controllers, path = '/'] = parsed;
    if (hierarchy === '0' && controllers === '') unified = path;
    // systemd's own hierarchy first: on a hybrid machine only that one names units.
    else if (controllers === 'name=systemd') others.unshift(path);
    else others.push(path);
  }
  return { unified, others };
}

/** The unit and the container of a process; the first path that names one decides. */
export function describeCgroups({ unified, others }: CgroupPaths): CgroupFacts {
  const paths = unified === null ? others : [unified, ...others];
  let unit: string | null = null;
  let userUnit = false;
  let container: Container | null = null;
  for (const path of paths) {
    const found: ReturnType<typeof unitOf> = unit === null ? unitOf(path) : null;
    if (found !== null) {
      unit = found.unit;
      userUnit = found.userUnit;
    }
    container ??= containerOf(path);
  }
  return { unit, userUnit, container };
}

/** The innermost service or socket; a scope only names a container or a login, and stopping it is not how either is stopped. */
function unitOf(path: string): { unit: string; userUnit: boolean } | null {
  const parts = path.split('/').map(unescapeUnit);
  const manager = parts.findIndex((part) => /^user@\d+\.service$/.test(part));
  for (let i = parts.length - 1; i > manager; i--) {
    const part = parts[i] ?? '';
    if (/^[^/]+\.(service|socket)$/.test(part)) return { unit: part, userUnit: manager >= 0 };
  }
  return null;
}

/** systemd writes a leading underscore before names that the kernel reserves (systemd.slice(5), cg_escape). */
function unescapeUnit(part: string): string {
  return part.startsWith('_') ? part.slice(1) : part;
}

const id = '([0-9a-f]{64})';
const containerPatterns: readonly (readonly [RegExp, Container['runtime']])[] = [
  [new RegExp(`(?:^|/)docker[-/]${id}(?:\\.scope)?(?:/|$)`), 'docker'],
  [new RegExp(`(?:^|/)libpod-${id}(?:\\.scope)?(?:/|$)`), 'podman'],
  [new RegExp(`(?:^|/)crio-${id}(?:\\.scope)?(?:/|$)`), 'crio'],
  [new RegExp(`(?:^|/)cri-containerd-${id}(?:\\.scope)?(?:/|$)`), 'containerd'],
  [new RegExp(`(?:^|[/:])cri-containerd:${id}(?:/|$)`), 'containerd'],
  [new RegExp(`/kubepods[^/]*/(?:.*/)?${id}(?:/|$)`), 'kubernetes'],
  [/(?:^|\/)lxc(?:\.payload)?[./]([A-Za-z0-9][A-Za-z0-9_.-]*)(?:\/|$)/, 'lxc'],
  [new RegExp(`(?:^|/)${id}(?:/|$)`), 'unknown'],
];

/** The container that a cgroup path names, or null. */
export function containerOf(path: string): Container | null {
  for (const [pattern, runtime] of containerPatterns) {
    const found = pattern.exec(path)?.[1];
    if (found !== undefined) return { id: found, name: runtime === 'lxc' ? found : null, runtime };
  }
  return null;
}

/** Where cgroup2 is mounted, from /proc/self/mountinfo; null when it is not. */
export function cgroup2Mount(proc: Proc): string | null {
  const text = attempt(() => proc.text('self/mountinfo', 4_194_304));
  if (text === null) return null;
  for (const line of text.split('\n')) {
    if (!line.includes(' - cgroup2 ')) continue;
    const [, , , root, point] = line.split(' ');
    // A mount of a part of the tree does not show the paths that /proc/PID/cgroup names.
    if (root === '/' && point !== undefined)
      return point.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  }
  return null;
}

/** Numbers of cgroup directories by path, each asked for once: sock_diag names the maker's cgroup by this number. */
export function cgroupIds(mount: string): (path: string) => string | null {
  const known = new Map<string, string | null>();
  return (path) => {
    let number = known.get(path);
    if (number === undefined) {
      // A path that leads out of the mount (a cgroup outside our namespace) has no directory here.
      const stat = path.includes('/..')
        ? undefined
        : statSync(`${mount}${path}`, { bigint: true, throwIfNoEntry: false });
      number = stat === undefined ? null : String(stat.ino);
      known.set(path, number);
    }
    return number;
  };
}

/** The processes in a cgroup's directory; nobody when it cannot be read (a threaded cgroup, or gone). */
export function cgroupMembers(mount: string, path: string): number[] {
  let text: string;
  try {
    text = readFileSync(`${mount}${path}/cgroup.procs`, 'latin1');
  } catch {
    // Only an order of search depends on it: whoever is not named here is looked into later.
    return [];
  }
  // 0 stands for a process outside our pid namespace.
  return text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}
