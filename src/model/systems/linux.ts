/**
 * Linux with systemd: sudo(8), sysctl(8), systemctl(1), journalctl(1).
 */
import { shellWord } from '../text.ts';
import type { Advice } from './advice.ts';

const asAdministrator = (command: string): string => `sudo ${command}`;

/** Until the next start of the machine (Documentation/networking/ip-sysctl.rst). */
const set = (setting: string, value: string): string => asAdministrator(`sysctl -w ${setting}=${value}`);

export const linuxAdvice: Advice = {
  asAdministrator,
  unprivilegedFrom: (port) => set('net.ipv4.ip_unprivileged_port_start', String(port)),
  reserve: (ranges) =>
    set(
      'net.ipv4.ip_local_reserved_ports',
      ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(','),
    ),
  moreAutomaticPorts: {
    setting: 'net.ipv4.ip_local_port_range',
    command: set('net.ipv4.ip_local_port_range', '"10240 65535"'),
  },
  serviceSockets: (user) => `systemctl ${user ? '--user ' : ''}list-sockets`,
  // SOCK_DESTROY of sock_diag(7); inet_twsk_alloc keeps the flag.
  leftovers: { removable: true, keepFlags: true },
  policies: {
    sentence:
      'Check whether a policy refuses it: a sandbox or container (seccomp, Landlock), SELinux, AppArmor, or SocketBindDeny= of the systemd unit; the kernel logs most of them',
    command: asAdministrator("journalctl -k --since '-10min' --grep 'denied|audit|seccomp'"),
  },
  // inotify(7).
  watchLimits: {
    ENOSPC:
      'the limit fs.inotify.max_user_watches is reached (sudo sysctl fs.inotify.max_user_watches=524288 raises it)',
    EMFILE:
      'the limit fs.inotify.max_user_instances is reached (sudo sysctl fs.inotify.max_user_instances=512 raises it)',
  },
  network: {
    route: (address) => `ip route get ${address}`,
    routesOf: (type) => `ip route show table all type ${type}`,
    neighbour: (address) => `ip neigh show ${address}`,
    forgetNeighbour: (address, device) =>
      asAdministrator(`ip neigh del ${address}${device === null ? '' : ` dev ${shellWord(device)}`}`),
    device: (device) => `ip addr show dev ${shellWord(device)}`,
    raise: (device) => asAdministrator(`ip link set ${shellWord(device)} up`),
    mtu: (device, bytes) => asAdministrator(`ip link set dev ${shellWord(device)} mtu ${bytes}`),
    duplicates: 'ip -6 addr show dadfailed',
    rules: (legacy) => asAdministrator(legacy ? 'iptables-legacy-save' : 'nft list ruleset'),
    cgroupPrograms: asAdministrator('bpftool cgroup tree'),
    set,
    ownPolicies: "grep -E 'Seccomp|NoNewPrivs' /proc/self/status",
    descriptors: (count) => `ulimit -n ${count}`,
    permissions: (path) => `namei -l ${shellWord(path)}`,
    connectionsOf: (end) => `ss -tnp state established src ${end}`,
    nameServers: 'cat /etc/resolv.conf',
    lookUp: (host) => `getent ahosts ${shellWord(host)}`,
    halfOpen: 'ss -tn state syn-recv',
    socketFilters: (port) => asAdministrator(`ss -tlnp --bpf sport = ${port}`),
    // A pattern of ss matches the whole path.
    unixSockets: (name) => `ss -xlp src ${shellWord(`*${name}`)}`,
  },
  process: {
    resume: (pids) => `kill -CONT ${pids.join(' ')}`,
    thaw: (unit) => asAdministrator(`systemctl thaw ${shellWord(unit)}`),
    descriptorsOf: (pid) => `ls -l /proc/${pid}/fd`,
    profile: (pid) => `perf top -p ${pid}`,
  },
};
