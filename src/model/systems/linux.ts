/**
 * Linux with systemd: sudo(8), sysctl(8), systemctl(1), journalctl(1).
 */
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
};
