/**
 * Real processes and sockets that bring a cause about: for tests and for `rebind demo`. Types only; open.ts builds one.
 */
import type { BindOptions, Request } from '../model/endpoint.ts';
import type { Actor } from './actor.ts';

/** What a cause's stage needs of the machine; a test that lacks it says so and is counted. */
export type Need =
  /** A network namespace of its own, because settings of the network are changed. */
  | 'namespace'
  /** Hosts of its own: the right to make network namespaces, ip(8), nft(8) and nsenter(1). */
  | 'network'
  | 'root'
  /** A process of another user. */
  | 'second-user'
  /** Somebody without rights who asks. */
  | 'unprivileged'
  | 'ipv6'
  | 'podman'
  /** A kernel that can make VXLAN tunnels, and ip(8). */
  | 'vxlan'
  /** A machine whose number of bind(2) we know, for a sandbox that refuses it. */
  | 'seccomp'
  /** A kernel whose Landlock can refuse TCP connections. */
  | 'landlock'
  /** A cgroup of its own, of version 2. */
  | 'cgroup'
  /** conntrack(8), and a table that is small enough to be filled. */
  | 'conntrack'
  | 'systemd-socket-activate';

/** What a sandbox refuses: every bind, every connect (seccomp), or every TCP connect (Landlock). */
export type Policy = 'no-bind' | 'no-connect' | 'no-tcp-connect';

/** A situation that stands. Disposing ends every process and socket of its stage. */
export interface Staged extends AsyncDisposable {
  /** The request to explain. */
  readonly request: Request;
  /** What stands now, one sentence without a full stop: "a Node server (pid 4711) listens on [::]:3000". */
  readonly description: string;
  /** Every process that has a blocker open and that the answer must name, ascending. */
  readonly holders: readonly number[];
  /**
   * What to put before a command so that it asks as the right user: empty for the user who staged it,
   * else a program that gives up rights, for the causes that only somebody without them meets.
   */
  readonly askAs: readonly string[];
}

/** What a stage hands over; `open.ts` adds the disposal. */
export interface StagedFields {
  readonly request: Request;
  readonly description: string;
  readonly holders?: readonly number[];
  readonly askAs?: readonly string[];
}

/** A user to run something as. */
export interface StageUser {
  readonly uid: number;
  readonly gid: number;
}

/** A plain Node program in a directory of its own. */
export interface NodeServer {
  readonly pid: number;
  /** The port it said it listens on; 0 for a Unix socket. */
  readonly port: number;
  /** Ends it at once (SIGKILL) and resolves when it is gone. */
  kill(): Promise<void>;
}

export interface NodeProgramOptions {
  /** Flags of Node itself. */
  readonly flags?: readonly string[];
  /** The limit of open descriptors. */
  readonly descriptors?: number;
}

/** Where programs of a stage run: this machine, or a host of its own network. */
export interface Place {
  /** What to put before a command so that it runs here; empty for this machine. */
  readonly enter: readonly string[];
  /** A process that makes system calls when told: for sockets that no ordinary Node server makes. `role` shows in its command line. */
  actor(role: string, user?: StageUser): Promise<Actor>;
  /**
   * Runs `node server.js` in a directory of its own, and resolves when it prints that it listens.
   * `listen` is what the program hands to `server.listen()`. @default an http server
   */
  nodeServer(listen: Readonly<Record<string, unknown>>): Promise<NodeServer>;
  /** Runs a program in CommonJS by Node, and resolves when it prints `listening on port N`. */
  nodeProgram(source: string, options?: NodeProgramOptions): Promise<NodeServer>;
  /** Runs a program of this machine and resolves when it has printed a line like `ready`; ended with its stage. */
  program(command: readonly string[], ready: RegExp): Promise<{ readonly pid: number }>;
  /**
   * Runs a command to its end and resolves to what it printed on stdout.
   *
   * @throws {Error} with what it printed on stderr when it fails.
   */
  run(command: readonly string[]): Promise<string>;
  /** Runs lines of a shell until one fails. @throws {Error} as `run` does. */
  shell(...lines: readonly string[]): Promise<string>;
}

/** A host of the stage's own: a network namespace, with its loopback device up. */
export interface Host extends Place {
  /** The process that keeps the namespace. */
  readonly keeper: number;
  /** Adds to the rules of its firewall, in the language of nft(8). */
  nft(ruleset: string): Promise<void>;
  /** Writes a setting under /proc/sys/net. */
  setting(name: string, value: string): Promise<void>;
  /** Fills the table of tracked connections with entries that are not given up for new ones. Takes some seconds. Needs `conntrack`. */
  fillConntrack(): Promise<void>;
}

/** The addresses of a host on one of its networks. */
export interface HostAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

/** A client and a server with a router between them. */
export interface Network {
  readonly addresses: {
    readonly client: HostAddresses;
    readonly routerToClient: HostAddresses;
    readonly routerToServer: HostAddresses;
    readonly server: HostAddresses;
  };
  readonly client: Host;
  readonly router: Host;
  readonly server: Host;
}

/** Makes processes and sockets, and ends all of them when it is disposed of, or when the program that made it dies. */
export interface Stage extends Place, AsyncDisposable {
  /** A port that nobody has on any address, for TCP and UDP, and that the kernel gives nobody by itself. */
  freePort(): number;
  /** A directory of this stage's own, removed at the end. */
  directory(): string;
  /** Makes a file in that directory; returns its path. */
  file(name: string, text: string): string;
  /** Runs a podman container whose port 80 is published as this port of 127.0.0.1. `pid` is the process that keeps the port. Needs `podman` and `namespace`. */
  container(port: number): Promise<{ readonly name: string; readonly pid: number }>;
  /** A host that is joined to no other. Needs `network`. */
  host(): Promise<Host>;
  /** A client, a router and a server. Needs `network`. */
  network(): Promise<Network>;
  /** Adds something to undo at the end. The last added is undone first. */
  defer(undo: () => Promise<unknown>): void;
  /**
   * Resolves when the kernel's table of `port` satisfies `wanted`; for what the kernel does by itself a moment after a call, such as entering TIME_WAIT.
   *
   * @throws {Error} with the table after five seconds.
   */
  settled(port: number, wanted: (states: readonly string[]) => boolean): Promise<void>;
  /** A request with Node's options for TCP, changed by `options`. */
  tcp(address: string, port: number, options?: Partial<BindOptions>): Request;
  /** A request with Node's options for UDP, changed by `options`. */
  udp(address: string, port: number, options?: Partial<BindOptions>): Request;
  unix(path: string): Request;
  /** How somebody without rights asks. Needs `unprivileged`. */
  unprivileged(): { readonly askAs: readonly string[] };
  /** How somebody asks whom a policy refuses something. Needs `seccomp`, or `landlock` for `no-tcp-connect`. @default 'no-bind' */
  sandboxed(policy?: Policy): { readonly askAs: readonly string[] };
  /** A second user. Needs `second-user`. */
  secondUser(): StageUser;
  /** Writes a setting under /proc/sys/net of the stage's own network namespace. Needs `namespace`. */
  setting(name: string, value: string): void;
  /** Ends the building: what stands, with its disposal. */
  staged(fields: StagedFields): Staged;
}
