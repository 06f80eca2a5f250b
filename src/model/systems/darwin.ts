/**
 * macOS: sudo(8), sysctl(8), lsof(8), log(1). None of these was run on a Mac by rebind.
 */
import type { Advice } from './advice.ts';

const asAdministrator = (command: string): string => `sudo ${command}`;

export const darwinAdvice: Advice = {
  asAdministrator,
  // There is no such setting: 0.0.0.0 and :: need no privilege since 10.14.
  unprivilegedFrom: () => null,
  reserve: () => null,
  moreAutomaticPorts: {
    setting: 'net.inet.ip.portrange.first',
    command: asAdministrator('sysctl -w net.inet.ip.portrange.first=32768'),
  },
  // launchd.plist(5): a job names its sockets there. launchctl shows them to people only.
  serviceSockets: () => 'grep -l Sockets ~/Library/LaunchAgents/*.plist /Library/Launch{Agents,Daemons}/*.plist',
  // No call destroys a socket of others, and only the flags of the new socket count (in_pcbbind).
  leftovers: { removable: false, keepFlags: false },
  policies: {
    sentence: 'Check whether a sandbox refuses it: the system logs what it denies to the sandbox of an application',
    command: `log show --last 10m --predicate 'eventMessage CONTAINS "network-bind"'`,
  },
  watchLimits: {},
  network: null,
  process: null,
};
