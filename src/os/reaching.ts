/**
 * The instruments of `reach`: what can be seen on the way to an address. Each looks, and says in `gaps` what it could not see; none
 * judges. Loaded by `Os.reaching()` when somebody asks, so that nothing else pays for it.
 */
import type { InetEndpoint } from '../model/endpoint.ts';
import type { Asker, Gap, ProcessIdentity, SocketId } from '../model/facts.ts';
import type {
  Attempt,
  Before,
  Conditions,
  Connected,
  Datagram,
  ElsewhereListener,
  Firewall,
  Hop,
  NameEvidence,
  Reply,
  UnixEvidence,
} from '../model/reach/evidence.ts';

/** How one attempt is made. */
export interface AttemptOptions {
  readonly timeoutMs: number;
  /** IP_TTL or IPV6_UNICAST_HOPS of the packets. */
  readonly ttl?: number;
  /** TCP_MAXSEG. */
  readonly segmentBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

/** A connection that stands, with what can be asked about it. Whoever got it closes it. */
export interface ReachConnection {
  /** What is seen of it now, beside what it said. */
  look(gaps: Gap[]): Pick<Connected, 'local' | 'remote' | 'mirror' | 'info'>;
  /** What the other side does within the time; bytes end the wait. */
  read(timeoutMs: number, signal?: AbortSignal): Promise<Reply>;
  /** Sends as much as the kernel takes at once; false when it takes nothing. */
  send(bytes: Uint8Array): boolean;
  close(): void;
}

/** What an operating system can see on the way to an address. A system that cannot see something answers null and says so in `gaps`. */
export interface Reaching {
  /** Who asks. */
  asker(): Asker;
  /**
   * Goes into the network namespace of a process, for everything that follows (setns(2)).
   *
   * @throws {NativeError} EPERM without the right to. @throws {UnsupportedError}
   */
  enterNamespaceOf(process: ProcessIdentity): void;
  /**
   * Ends this process at once (_exit(2)), where nothing is left to write: Node would wait for a thread that waits in getaddrinfo(3), which nothing
   * interrupts. Does nothing where the system offers no such call.
   */
  exitNow(status: number): void;
  /** What the files of this machine say of a name: hosts(5), resolv.conf(5). Nothing is sent. */
  nameFiles(host: string): Pick<NameEvidence, 'hosts' | 'searchDomains'> & { readonly nameServers: readonly string[] };
  /** Everything that needs no packet. */
  before(to: InetEndpoint, gaps: Gap[]): Before;
  /** Listeners on that port in other network namespaces that have a visible process. */
  elsewhere(to: InetEndpoint, gaps: Gap[]): readonly ElsewhereListener[] | null;
  /** One attempt to connect; `connection` is null unless it stands. Never longer than its timeout. */
  attempt(
    to: InetEndpoint,
    options: AttemptOptions,
    gaps: Gap[],
  ): Promise<{ readonly attempt: Attempt; readonly connection: ReachConnection | null }>;
  /** One datagram to a UDP endpoint, and what it got. */
  datagram(to: InetEndpoint, payload: Uint8Array, options: AttemptOptions, gaps: Gap[]): Promise<Datagram>;
  /** What the processes that have these sockets open are doing; looks for about `lookMs`. */
  conditions(sockets: readonly SocketId[], port: number | null, lookMs: number, gaps: Gap[]): Promise<Conditions[]>;
  /** SYNs of the same connection with growing TTL, until the address answers or two in a row are silent. Nothing is sent to any other host. */
  walk(to: InetEndpoint, signal: AbortSignal | undefined, gaps: Gap[]): Promise<readonly Hop[] | null>;
  /** Reads the rules and their counters; called before an attempt, the result compares them after it. Null without the right to. */
  firewall(to: InetEndpoint, gaps: Gap[]): { after(attempts: readonly Attempt[]): Firewall } | null;
  /** Everything about a Unix path; connects once when `connect` is true. */
  unix(
    path: string,
    options: { readonly connect: boolean; readonly request: Uint8Array | null; readonly timeoutMs: number },
    gaps: Gap[],
  ): Promise<Omit<UnixEvidence, 'conditions' | 'gaps'>>;
}
