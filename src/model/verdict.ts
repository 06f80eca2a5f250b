/**
 * The shape of an answer: verdict, blockers, plan. `judge` in judge.ts fills it in.
 */
import type { BindOptions, Endpoint, Request } from './endpoint.ts';
import type {
  Address,
  Container,
  Facts,
  Gap,
  InetSocket,
  ParentProcess,
  Probe,
  Redirect,
  Socket,
  SocketState,
} from './facts.ts';
import type { Manager, ManagerKind } from './managers.ts';
import type { Advice } from './systems/advice.ts';

/** What a remedy does. Order is gentleness: the first is the gentlest. */
export const remedyIds: readonly RemedyId[] = [
  'wait',
  'use-address',
  'use-port',
  'change-request',
  'resume-process',
  'start-server',
  'listen-address',
  'set-option',
  'raise-limit',
  'change-name',
  'change-network',
  'change-firewall',
  'stop-unit',
  'stop-container',
  'stop-process',
  'remove-file',
  'remove-leftovers',
  'reserve-port',
  'grant-privilege',
  'investigate',
];

/** The kind of a remedy. More may be added. */
export type RemedyId =
  | 'wait'
  | 'use-address'
  | 'use-port'
  /** Ask for something else: another scheme, another way to write the host. */
  | 'change-request'
  /** Let a stopped or frozen process run again. */
  | 'resume-process'
  | 'start-server'
  /** Let the server listen on another address. */
  | 'listen-address'
  | 'set-option'
  | 'raise-limit'
  /** The hosts file, DNS, a name server. */
  | 'change-name'
  /** A route, a device, a neighbour, an address. */
  | 'change-network'
  | 'change-firewall'
  | 'stop-unit'
  | 'stop-container'
  | 'stop-process'
  | 'remove-file'
  | 'remove-leftovers'
  | 'reserve-port'
  | 'grant-privilege'
  | 'investigate';

/** One thing that would help. */
export interface Remedy {
  readonly remedy: RemedyId;
  /** What it does, one sentence without a full stop. */
  readonly sentence: string;
  /** A command to paste, or null when it is something to change in a program. */
  readonly command: string | null;
  /** True when `rebind free` would do it unasked: without --yes, --force, a timeout or more rights. */
  readonly automatic: boolean;
  readonly args: Readonly<Record<string, unknown>>;
}

/** A process that has a blocker open, as it is reported. */
export interface BlockerHolder {
  readonly pid: number;
  readonly descriptors: readonly number[];
  readonly command: string;
  readonly argv: readonly string[];
  readonly cwd: string | null;
  readonly user: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly parents: readonly ParentProcess[];
  readonly unit: string | null;
  readonly container: Container | null;
  /** What started it, and would start it again; null when nothing is known of that. */
  readonly manager: HolderManager | null;
}

/** What started a holder, as it is reported. */
export interface HolderManager {
  readonly kind: ManagerKind;
  /** The unit, container, application, script or user that it is known by. */
  readonly name: string | null;
  /** The manager's own process, where it can be seen. */
  readonly pid: number | null;
  /** True when the kernel, or the manager itself, says that it runs exactly this process; else it only looks so. */
  readonly confirmed: boolean;
}

/** A socket that makes the request fail. */
export interface Blocker {
  readonly protocol: 'tcp' | 'udp' | 'unix';
  readonly state: SocketState;
  /** For a Unix socket `address` is the path and `port` is 0. */
  readonly local: Address;
  readonly remote: Address | null;
  readonly uid: number;
  readonly inode: number;
  readonly expiresInMs: number | null;
  /** False when a flag that the system hides decides whether this socket blocks the port. */
  readonly certain: boolean;
  readonly holders: readonly BlockerHolder[];
}

/** A cause that applies. */
export interface Finding {
  readonly cause: string;
  /** One plain sentence, no colour, no advice. */
  readonly sentence: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** The answer of `why`; `--json` prints it with `schema: 1` in front. */
export interface Report<Found extends Finding = Finding> {
  readonly endpoint: Endpoint;
  readonly options: BindOptions;
  /** Null when it could not be told. */
  readonly bindable: boolean | null;
  /** What bind or listen would report, null when bindable. */
  readonly errno: string | null;
  /** Null when bindable and nothing is worth saying. */
  readonly verdict: Found | null;
  readonly also: readonly Found[];
  readonly blockers: readonly Blocker[];
  readonly plan: readonly Remedy[];
  readonly gaps: readonly Gap[];
}

/** Does this socket make the request fail? `maybe` when a flag that decides is hidden. */
export type Conflict = 'yes' | 'no' | 'maybe';

/** A socket that conflicts, or may. After the kernel's answer is known, `maybe` is settled where logic allows. */
export interface Candidate<S extends Socket = Socket> {
  readonly socket: S;
  readonly conflict: 'yes' | 'maybe';
}

/** What a bind reports: an errno name, or null when it succeeds. */
export type Outcome = string | null;

/** What a cause looks at: the question, what was read, what the kernel said, and which sockets the rules blame. Pure data. */
export interface Question {
  readonly request: Request;
  readonly facts: Facts;
  /** The kernel's answer, null where a bind cannot be tried without side effects (Unix paths) or at all. */
  readonly probe: Probe | null;
  /** Rules that send what comes for the port elsewhere; looked for where the bind works. */
  readonly redirects: readonly Redirect[];
  /** What bind reports: the kernel's word if there is one, else what the rules predict; null when bindable. */
  readonly errno: string | null;
  /** Sockets that make the request fail, the surest first. Empty when bindable. */
  readonly blockers: readonly Candidate[];
  /** Sockets on the same port and protocol that do not block, for the causes that speak about a bindable port. */
  readonly bystanders: readonly InetSocket[];
  /** Sockets that would block next, once the reason for EACCES, EADDRNOTAVAIL and the like is gone. Empty for EADDRINUSE and when bindable. */
  readonly behind: readonly Candidate[];
  /** Every outcome that the rules allow, the likeliest first. Null where there are no rules for the platform. */
  readonly predicted: readonly Outcome[] | null;
  /** What the kernel answers to the same bind with SO_REUSEADDR; asked only where the request fails without it. */
  readonly reusing: Probe | null;
  /** Why stopping a process is not plainly fine, by pid: it belongs to another user or project. `rebind free` asks about these. */
  readonly doubts: ReadonlyMap<number, string>;
  /** What started each holder, by pid; those that nothing is known of are not in it. */
  readonly managers: ReadonlyMap<number, Manager>;
  /** How one does on this system what a remedy advises. */
  readonly advice: Advice;
  /** True when the kernel answered what the rules do not allow: then `unexplained` is the only cause that is asked. */
  readonly disagrees: boolean;
}
