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
  /** What may refuse a bind beside the sockets and settings, and what shows it. */
  readonly policies: { readonly sentence: string; readonly command: string } | null;
  /** Which limit a watch of files has reached, and how it is raised, by the code of the refusal. */
  readonly watchLimits: Readonly<Record<string, string>>;
}
