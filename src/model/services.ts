/**
 * Services that the rest of a system relies on: what they are for, which is why stopping one needs a yes, and how they make room.
 * A name is a program's own choice; it never permits anything here, it only makes rebind ask and advise.
 */
import type { Holder } from './facts.ts';
import { programName } from './program.ts';

export interface Service {
  /** A clause about "it". */
  readonly does: string;
  /** How it leaves this port to another program and goes on; null where that is not known. */
  readonly yields: { readonly port: number; readonly sentence: string; readonly file: string } | null;
}

const services: Readonly<Record<string, Service>> = {
  'systemd-resolved': {
    does: 'it resolves host names for this system',
    // resolved.conf(5), DNSStubListener=; without the stub, /etc/resolv.conf must name the real servers (systemd-resolved.service(8)).
    yields: {
      port: 53,
      sentence:
        'Set DNSStubListener=no in this file, link /etc/resolv.conf to /run/systemd/resolve/resolv.conf, and restart systemd-resolved: it goes on without the port',
      file: '/etc/systemd/resolved.conf',
    },
  },
  'avahi-daemon': { does: 'it answers mDNS for this system', yields: null },
  NetworkManager: { does: 'it configures the network of this system', yields: null },
  'systemd-networkd': { does: 'it configures the network of this system', yields: null },
  chronyd: { does: 'it sets the clock of this system', yields: null },
  'systemd-timesyncd': { does: 'it sets the clock of this system', yields: null },
};

/** The kernel's name of a process has 15 bytes (TASK_COMM_LEN); its title may say more than its name. */
const shownBytes = 15;

/** Null for every other program. */
export function systemService(holder: Holder): Service | null {
  const name = programName(holder);
  const found = Object.keys(services).find((one) => one === name || one.slice(0, shownBytes) === holder.command);
  return found === undefined ? null : (services[found] ?? null);
}
