/**
 * What this machine lacks for a stage.
 */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasNetworkLandlock } from '../os/linux/calls/landlock.ts';
import { callNumber } from '../os/linux/calls/numbers.ts';
import { cgroupRoot } from './cgroup.ts';
import { mostTracked } from './conntrack.ts';
import { hasEveryUser, insideNamespace } from './namespace.ts';
import type { Need } from './stage.ts';

/** Why a stage cannot be built here, one sentence without a full stop, or null when it can. */
export function missing(needs: readonly Need[]): string | null {
  for (const need of needs) {
    const reason = checks[need]();
    if (reason !== null) return reason;
  }
  return null;
}

/** The full path of a program, or null when it is not on the path. */
export function findProgram(name: string): string | null {
  // Ordinary users often lack the folders of the administrator's programs.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

const checks: Readonly<Record<Need, () => string | null>> = {
  namespace: () => (insideNamespace() ? null : 'it changes settings of the network and so needs a network namespace'),
  network: () => {
    if (!hasEveryUser() && !insideNamespace())
      return 'it makes hosts of its own, which needs root or a namespace made for it';
    for (const [program, owner] of Object.entries({ ip: 'iproute2', nft: 'nftables', nsenter: 'util-linux' }))
      if (findProgram(program) === null) return `${program} (of ${owner}) is not installed`;
    return null;
  },
  root: () => (hasEveryUser() ? null : 'it needs root'),
  'second-user': () =>
    hasEveryUser() ? readableByOthers() : 'it needs a process of a second user, which only root can start',
  unprivileged: () => {
    if (process.getuid?.() !== 0) return null;
    if (findProgram('setpriv') === null) return 'setpriv (of util-linux) is not installed, which gives up rights';
    return hasEveryUser() ? readableByOthers() : null;
  },
  ipv6: () => (hasIpv6() ? null : 'this machine has no IPv6'),
  podman: () => {
    if (!hasEveryUser()) return 'podman without an image needs root';
    for (const program of ['podman', 'runc', 'busybox'])
      if (findProgram(program) === null) return `${program} is not installed`;
    return null;
  },
  vxlan: () => {
    if (findProgram('ip') === null) return 'ip (of iproute2) is not installed';
    return existsSync('/sys/module/vxlan') ? null : 'the kernel has no VXLAN';
  },
  seccomp: () => (callNumber('bind') !== null ? null : `the number of bind(2) on ${process.arch} is not known`),
  landlock: () => (hasNetworkLandlock() ? null : 'the kernel has no Landlock for the network'),
  cgroup: () => (cgroupRoot() === null ? 'this user may not make a cgroup' : null),
  conntrack: () => {
    if (findProgram('conntrack') === null) return 'conntrack is not installed';
    const most = mostTracked();
    if (most === null) return 'the kernel tracks no connections';
    return most <= 300_000 ? null : `the kernel tracks as many as ${most} connections`;
  },
  'systemd-socket-activate': () =>
    findProgram('systemd-socket-activate') === null ? 'systemd-socket-activate is not installed' : null,
};

/** Another user can only run the programs of the stage where every folder above them lets everybody pass. */
function readableByOthers(): string | null {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o005) !== 0o005) return `other users may not enter ${folder}`;
    if (folder === dirname(folder)) return null;
  }
}

function hasIpv6(): boolean {
  if (!existsSync('/proc/net/if_inet6')) return false;
  // Ends in the name of the interface; ::1 is 31 zeros and a one (proc(5)).
  return /^0{31}1 .* lo$/m.test(readFileSync('/proc/net/if_inet6', 'utf8'));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
