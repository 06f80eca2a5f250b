/**
 * How one does on a system what rebind advises: commands to paste, in that system's words. Pure; causes find it in the question.
 */
export interface Advice {
  /** The command with the rights of the administrator. */
  asAdministrator(command: string): string;
  /** Lets every program listen on ports from this one, until the next start of the machine. Null where there is no such setting. */
  unprivilegedFrom(port: number): string | null;
  /** Keeps clients from being given these ports; it replaces what was reserved before. */
  reserve(ranges: readonly (readonly [first: number, last: number])[]): string | null;
  /** Widens the range from which the system chooses ports, and the name of the setting. */
  readonly moreAutomaticPorts: { readonly setting: string; readonly command: string } | null;
  /** Lists the sockets that the manager of services has open; those of a user's own manager with `user`. */
  serviceSockets(user: boolean): string | null;
  /** What is left of a connection: whether root can remove it, and whether the flags that its socket had decide what it blocks. */
  readonly leftovers: { readonly removable: boolean; readonly keepFlags: boolean };
  /** What may refuse a bind beside the sockets and settings, and what shows it. */
  readonly policies: { readonly sentence: string; readonly command: string } | null;
  /** Which limit a watch of files has reached, and how it is raised, by the code of the refusal. */
  readonly watchLimits: Readonly<Record<string, string>>;
  /** What shows, and changes, the network of this machine; null where no cause of connecting is known. */
  readonly network: NetworkAdvice | null;
  /** What shows, and changes, what a process does; null where no cause of connecting is known. */
  readonly process: ProcessAdvice | null;
}

/** Commands about processes. */
export interface ProcessAdvice {
  /** Lets suspended processes run again. */
  resume(pids: readonly number[]): string;
  /** Lets a frozen unit run again. */
  thaw(unit: string): string;
  /** Lists the descriptors that a process has open. */
  descriptorsOf(pid: number): string;
  /** Shows what a busy process computes. */
  profile(pid: number): string;
}

/** Commands about routes, devices, neighbours, the firewall and limits. */
export interface NetworkAdvice {
  /** What the system answers for a destination. */
  route(address: string): string;
  /** Routes of a type, such as `prohibit`. */
  routesOf(type: string): string;
  neighbour(address: string): string;
  forgetNeighbour(address: string, device: string | null): string;
  device(device: string): string;
  raise(device: string): string;
  mtu(device: string, bytes: number): string;
  /** Addresses that another host has, too. */
  readonly duplicates: string;
  /** The rules of the firewall; the older kind on Linux with `legacy`. */
  rules(legacy: boolean): string;
  /** Programs that are attached to cgroups. */
  readonly cgroupPrograms: string;
  /** Writes a setting until reboot. */
  set(setting: string, value: string): string;
  /** What a process says of the policies that it is under. */
  readonly ownPolicies: string;
  /** More descriptors for what is started from this shell. */
  descriptors(count: number): string;
  /** Who may do what with a file, and with each directory above it. */
  permissions(path: string): string;
  /** The connections of one end, `10.0.0.2:41000`, with the process of each. */
  connectionsOf(end: string): string;
  /** Which name servers are asked. */
  readonly nameServers: string;
  /** The addresses of a name, as programs get them. */
  lookUp(host: string): string;
  /** Connections that a client began and did not finish. */
  readonly halfOpen: string;
  /** The filters on the listeners of a port. */
  socketFilters(port: number): string;
  /** The Unix sockets whose path ends in a name. */
  unixSockets(name: string): string;
}
