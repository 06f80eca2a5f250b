/**
 * What the cgroup of a process tells: the systemd unit and the container that it runs in (cgroups(7), systemd.slice(5)).
 */
import { readFileSync, statSync } from 'node:fs';
import type { Container } from '../../../model/facts.ts';
import { attempt, type Proc } from './proc.ts';

export interface CgroupFacts {
  readonly unit: string | null;
  readonly userUnit: boolean;
  /** The path that named the unit. */
  readonly cgroup: string | null;
  /** Without its name, which a cgroup does not tell. */
  readonly container: Container | null;
}

/** The paths of one process: that of cgroup2 (`0::`), and all others. */
export interface CgroupPaths {
  readonly unified: string | null;
  readonly others: readonly string[];
}

/** Null when the process is gone or hidden. */
export function readCgroupPaths(proc: Proc, pid: number | 'self'): CgroupPaths | null {
  const text = attempt(() => proc.text(`${pid}/cgroup`));
  return text === null ? null : parseCgroupPaths(text);
}

/** The kernel writes no longer path (PATH_MAX; kernel/cgroup/cgroup.c: proc_cgroup_show). */
const longestPath = 4_096;

/** Lines of `hierarchy:controllers:path`; the path may hold colons. */
export function parseCgroupPaths(text: string): CgroupPaths {
  let unified: string | null = null;
  const others: string[] = [];
  for (const line of text.split('\n')) {
    const parsed = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    const [, hierarchy, controllers, path = '/'] = parsed ?? [];
    if (parsed === null || path.length > longestPath) continue;
    if (hierarchy === '0' && controllers === '') unified = path;
    // systemd's own hierarchy first: on a hybrid machine only that one names units.
    else if (controllers === 'name=systemd') others.unshift(path);
    else others.push(path);
  }
  return { unified, others };
}

/**
 * The unit and the container of a process; the first path that names one decides.
 *
 * @param outside What is left out in front of a path, see `outsideOf`.
 */
export function describeCgroups(own: CgroupPaths, outside: readonly string[] = []): CgroupFacts {
  const paths = pathsOf(own);
  let unit: ReturnType<typeof unitOf> = null;
  let cgroup: string | null = null;
  let container: Container | null = null;
  for (const path of paths) {
    const root = outside.find((each) => path === each || path.startsWith(`${each}/`)) ?? '';
    const inside = path.slice(root.length);
    if (unit === null) {
      unit = unitOf(inside);
      if (unit !== null) cgroup = path;
    }
    container ??= containerOf(inside);
  }
  return { unit: unit?.unit ?? null, userUnit: unit?.userUnit ?? false, cgroup, container };
}

function pathsOf({ unified, others }: CgroupPaths): readonly string[] {
  return unified === null ? others : [unified, ...others];
}

/**
 * The part of the tree of cgroups that lies outside, the longest first: above the container that this process runs in, which from in there is the
 * whole machine, and above the systemd that is process 1 here, which keeps itself in init.scope.
 */
export function outsideOf(own: CgroupPaths | null, init: CgroupPaths | null): string[] {
  const containers = own === null ? [] : pathsOf(own).flatMap(containerRoot);
  const roots = init === null ? [] : pathsOf(init).flatMap((path) => /^(\/.+)\/init\.scope$/.exec(path)?.[1] ?? []);
  return [...containers, ...roots].sort((a, b) => b.length - a.length);
}

/**
 * The outermost service or socket: what is named below it is not this system's, but of a container's own systemd
 * (systemd.exec(5), Delegate=). A scope only names a container or a login, and stopping it is not how either is stopped.
 */
function unitOf(path: string): { unit: string; userUnit: boolean } | null {
  const parts = path.split('/').map(unescapeUnit);
  // systemd-nspawn(1) puts the container's own tree below this name.
  const payload = parts.indexOf('payload');
  const ours = payload < 0 ? parts : parts.slice(0, payload);
  const manager = ours.findIndex((part) => /^user@\d+\.service$/.test(part));
  const unit = ours.slice(manager + 1).find((part) => /^[^/]+\.(service|socket|scope)$/.test(part));
  return unit === undefined || unit.endsWith('.scope') ? null : { unit, userUnit: manager >= 0 };
}

/** systemd writes a leading underscore before names that the kernel reserves (systemd.slice(5), cg_escape). */
function unescapeUnit(part: string): string {
  return part.startsWith('_') ? part.slice(1) : part;
}

const id = '([0-9a-f]{64})';
const containerPatterns: readonly (readonly [RegExp, Container['runtime']])[] = [
  [new RegExp(`(?:^|/)docker[-/]${id}(?:\\.scope)?(?=/|$)`), 'docker'],
  [new RegExp(`(?:^|/)libpod-(?:payload-)?${id}(?:\\.scope)?(?=/|$)`), 'podman'],
  [new RegExp(`(?:^|/)crio-${id}(?:\\.scope)?(?=/|$)`), 'crio'],
  [new RegExp(`(?:^|/)cri-containerd-${id}(?:\\.scope)?(?=/|$)`), 'containerd'],
  [new RegExp(`(?:^|[/:])cri-containerd:${id}(?=/|$)`), 'containerd'],
  [new RegExp(`/kubepods[^/]*/(?:.*/)?${id}(?=/|$)`), 'kubernetes'],
  [/(?:^|\/)lxc(?:\.payload)?[./]([A-Za-z0-9][A-Za-z0-9_.-]*)(?=\/|$)/, 'lxc'],
  [/(?:^|\/)systemd-nspawn@([^/]+)\.service(?=\/|$)/, 'nspawn'],
  [/(?:^|\/)machine-([^/]+)\.scope(?=\/|$)/, 'nspawn'],
  [new RegExp(`(?:^|/)${id}(?=/|$)`), 'unknown'],
];

/** The outermost container that a cgroup path names, or null: one inside of it is none of this machine's. */
export function containerOf(path: string): Container | null {
  return outermost(path)?.container ?? null;
}

/** Without one of these words there is no container in a path, which is so on most machines. */
const hint = /docker|libpod|cri|kube|lxc|nspawn|machine|[0-9a-f]{64}/;

function outermost(path: string): { readonly container: Container; readonly end: number } | null {
  if (!hint.test(path)) return null;
  let first: { container: Container; start: number; end: number } | null = null;
  for (const [pattern, runtime] of containerPatterns) {
    const match = pattern.exec(path);
    const found = match?.[1];
    if (match === null || found === undefined || (first !== null && match.index >= first.start)) continue;
    const named = runtime === 'lxc' || runtime === 'nspawn';
    const plain = runtime === 'nspawn' ? unescapeName(found) : found;
    const container: Container = { id: plain, name: named ? plain : null, runtime };
    first = { container, start: match.index, end: match.index + match[0].length };
  }
  return first;
}

/** The path down to the innermost container that it names. */
function containerRoot(path: string): string[] {
  let end = 0;
  for (let found = outermost(path); found !== null; found = outermost(path.slice(end))) end += found.end;
  return end === 0 ? [] : [path.slice(0, end)];
}

/** `\x2d` for what a unit's name may not hold (systemd-escape(1)). */
function unescapeName(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
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
    // Only an order of search depends on it: processes not named here are looked into later.
    return [];
  }
  // 0 stands for a process outside our pid namespace.
  return text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}
