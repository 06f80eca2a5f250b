/**
 * What was seen on the way to one address. Types only, and plain data: recorded evidence is a test of the judge.
 *
 * Three kinds of not-knowing are kept apart, as in facts.ts: `null` means that it was not looked at or that the system does not show it,
 * an entry in `gaps` says why, and an empty list means that we looked and there was nothing.
 */
import type { InetEndpoint } from '../endpoint.ts';
import type { Address, Gap, Holder, InetSocket, SocketId, SocketState, UnixFile, UnixSocket } from '../facts.ts';

/** A socket on the asked port, with what only a client of it needs to know. */
export interface PortSocket extends InetSocket {
  /** What this socket has dropped so far (SK_MEMINFO_DROPS, INET_DIAG_SKMEMINFO[8]); null where the kernel does not tell. */
  readonly drops: number | null;
  /** Of a UDP socket the bytes that its process has not read; null of a TCP listener (`queue`), or where the kernel does not tell. */
  readonly unread: number | null;
}

/** What the kernel would do with a packet to the address (RTM_GETROUTE, rtnetlink(7)). */
export interface Route {
  /** The errno that the route itself gives, such as ENETUNREACH or EACCES; null when there is a way. */
  readonly errno: string | null;
  /** `local`: the address is one of this machine. Null with an errno. */
  readonly type: 'local' | 'unicast' | 'broadcast' | 'multicast' | 'anycast' | 'other' | null;
  readonly device: string | null;
  readonly gateway: string | null;
  /** The source address that the route prefers. */
  readonly source: string | null;
  /** The destination as it stands in the table, such as `172.17.0.0/16`; null with an errno, or where the kernel does not tell it. */
  readonly prefix: string | null;
}

/** A network device of the route (RTM_GETLINK). */
export interface Link {
  readonly device: string;
  /** IFF_UP. */
  readonly up: boolean;
  /** IFF_LOWER_UP: false without a cable. Null where it is not told. */
  readonly carrier: boolean | null;
  readonly mtu: number | null;
  /** Such as `bridge`, `veth`, `wireguard`; null for a plain one. */
  readonly kind: string | null;
}

/** The entry of the next hop in the neighbour table (RTM_GETNEIGH, ip-neighbour(8)). */
export interface Neighbour {
  readonly address: string;
  readonly state: 'NONE' | 'INCOMPLETE' | 'REACHABLE' | 'STALE' | 'DELAY' | 'PROBE' | 'FAILED' | 'NOARP' | 'PERMANENT';
  readonly hardwareAddress: string | null;
}

/** What can be seen before anything is sent. */
export interface Before {
  /** connect(2) on a UDP socket: the whole verdict of the kernel about route, source address and sandbox, without a packet. */
  readonly dryRun: { readonly errno: string | null; readonly source: string | null } | null;
  readonly route: Route | null;
  /** The device of the route. */
  readonly link: Link | null;
  /** Devices beside loopback that are down; asked for only where there is no route. */
  readonly downDevices: readonly string[] | null;
  /** The next hop, or the address itself on a shared link. */
  readonly neighbour: Neighbour | null;
  /** Our own address is not usable yet (IFA_F_TENTATIVE), or never will be (IFA_F_DADFAILED); null for all others. */
  readonly unusable: 'tentative' | 'duplicate' | null;
  /** net.ipv6.conf.all.disable_ipv6, asked for an IPv6 address only. */
  readonly ipv6Disabled: boolean | null;
  /**
   * The socket that would get this connection or datagram (exact INET_DIAG look-up, no dump): only asked where the address is ours.
   * `found` is null when there is none.
   */
  readonly lookup: { readonly found: PortSocket | null } | null;
  /** Every listening or bound socket of this network namespace on that port, of the protocol that was asked for. */
  readonly sockets: readonly PortSocket[] | null;
  /** Ports that are left for a connection to exactly this address and port. */
  readonly localPorts: {
    readonly range: readonly [number, number];
    /** How many of the range are reserved. */
    readonly reserved: number;
    /** How many are in use towards this address and port. */
    readonly used: number;
  } | null;
  /** Descriptors of this process. */
  readonly descriptors: { readonly open: number; readonly limit: number } | null;
  /** Connections that the firewall tracks (nf_conntrack). */
  readonly tracked: { readonly count: number; readonly max: number } | null;
}

/** A listener on the port in another network namespace, found by one of its processes. */
export interface ElsewhereListener {
  readonly protocol: 'tcp' | 'udp';
  readonly local: Address;
  readonly inode: SocketId;
  /** Inode number of the namespace (stat of /proc/PID/ns/net); null where only the content of /proc/PID/net told. */
  readonly namespace: number | null;
  /** A process in that namespace; not necessarily the one that listens. */
  readonly process: Pick<Holder, 'pid' | 'started' | 'command' | 'container' | 'unit'>;
  /** Addresses of that namespace beside loopback, as far as they can be read. */
  readonly addresses: readonly string[];
  /** It is seen to be in another user namespace, in which anybody gives a network any address (user_namespaces(7)). */
  readonly otherUsers: boolean;
}

/** The author of a refusal (MSG_ERRQUEUE after IP_RECVERR, ip(7)). */
export interface Refusal {
  readonly errno: string;
  readonly origin: 'icmp' | 'icmp6' | 'local' | 'none';
  readonly type: number;
  readonly code: number;
  /** Who sent it, null when the kernel does not tell. */
  readonly from: string | null;
}

/**
 * How much the counters of this network namespace grew during one attempt. Names as `nstat -a` without the protocol's version:
 * `Ip.OutRequests`, `Ip6.InDelivers`, `Tcp.OutRsts`, `Icmp.OutDestUnreachs`, `Udp.NoPorts`, `TcpExt.ListenOverflows`, and `Conntrack.drop`.
 * `Route.in_martian_src`. A counter that did not grow is 0; one that the kernel does not have is not in it.
 */
export type Counters = Readonly<Record<string, number>>;

/** One attempt to connect. */
export interface Attempt {
  /** Null when it was connected; `ETIMEDOUT` for silence until our own timeout. */
  readonly errno: string | null;
  /** Where the errno came from: `socket` and `connect` at once, without a packet; `later` as the answer to one. Null when connected or silent. */
  readonly by: 'socket' | 'connect' | 'later' | null;
  readonly elapsedMs: number;
  /** Our own end. */
  readonly local: Address | null;
  /** What the error queue held, the first first. */
  readonly refusals: readonly Refusal[];
  readonly counters: Counters;
  /** The listeners of the port as they are after it; `drops` and queues are compared with those before. Null where the address is not ours. */
  readonly sockets: readonly PortSocket[] | null;
}

/** What the other side did first, or after a request. */
export interface Reply {
  readonly kind: 'bytes' | 'end' | 'reset' | 'silence';
  /** At most 4096 bytes, base64. Empty without any. */
  readonly bytes: string;
  readonly elapsedMs: number;
}

/** What was seen on a connection that stood. */
export interface Connected {
  readonly local: Address;
  readonly remote: Address;
  /** Our connection as the other side's socket, where that is on this machine: inode 0 while nobody has accepted it. */
  readonly mirror: { readonly state: SocketState; readonly inode: SocketId } | null;
  /** tcp_info (tcp(7)) at the end of the look. */
  readonly info: {
    readonly unacknowledged: number;
    readonly retransmits: number;
    /** Null where the kernel is too old to tell. */
    readonly sendWindow: number | null;
    readonly notSent: number | null;
  } | null;
  /** What came without anything being sent. */
  readonly first: Reply | null;
  /** What came after one request; null when none was sent. */
  readonly request: Reply | null;
  /** Answered where a second connection asked with TLS; null when that was not tried. */
  readonly tls: 'spoke' | 'refused' | null;
  /** What came on a second connection with segments of 536 bytes (TCP_MAXSEG); null when that was not tried. */
  readonly smallSegments: Reply | null;
}

/** What a process that has a listener open is doing. */
export interface HolderCondition {
  readonly holder: Holder;
  /**
   * False where its descriptors may not be looked at: then it is one of the processes in the cgroup that the socket was made in, of the same
   * user, and `holder.descriptors` is empty. Where there is more than one, any of them may be the one.
   */
  readonly certain: boolean;
  /** Stopped by its cgroup (cgroup.freeze, `docker pause`). Null where it cannot be told. */
  readonly frozen: boolean | null;
  readonly descriptors: { readonly open: number; readonly limit: number | null } | null;
  /** The part of one processor that it used during the look, 0 to 1 and more; null where it was not measured. */
  readonly busy: number | null;
  /** True when one of its epoll sets holds the listener, or it sleeps in accept on it; null when that may not be read. */
  readonly waits: boolean | null;
  /** A connection of the same port that it sleeps on, reading or writing: the one client that keeps it busy. */
  readonly serves: { readonly descriptor: number; readonly peer: Address; readonly call: 'read' | 'write' } | null;
}

/** The listener's processes, by its socket. */
export interface Conditions {
  readonly inode: SocketId;
  readonly holders: readonly HolderCondition[];
  /** True when processes may have it open that cannot be looked into. */
  readonly unseen: boolean;
}

/** One answer of the walk with growing TTL. */
export interface Hop {
  readonly ttl: number;
  /** Null when nobody answered. */
  readonly from: string | null;
  readonly type: number | null;
  readonly code: number | null;
}

/** A firewall rule that our packets met, or that would match them. Root only. */
export interface FirewallRule {
  readonly system: 'nftables' | 'iptables-legacy';
  readonly table: string;
  readonly chain: string;
  /** As the tool prints it, untrusted text. */
  readonly text: string;
  /** Such as `drop`, `reject`, `dnat to 10.0.0.2:80`. */
  readonly verdict: string;
  /** `counted`: its counter grew by our packets, a proof; `matches`: by its text. */
  readonly proof: 'counted' | 'matches';
}

/** What root alone can see. Null fields were not looked at. */
export interface Firewall {
  readonly rules: readonly FirewallRule[] | null;
  /** Where conntrack has sent our packets. */
  readonly forwardedTo: Address | null;
}

/** Everything that was seen of one TCP or UDP address. */
export interface InetEvidence {
  readonly protocol: 'tcp' | 'udp';
  readonly endpoint: InetEndpoint;
  /** True when it is one of this machine's own addresses; null when that is not known. */
  readonly ours: boolean | null;
  readonly before: Before;
  /** Null when it was not tried. */
  readonly attempt: Attempt | null;
  /** A second attempt after silence: a rejection may have been rate limited. */
  readonly again: Attempt | null;
  readonly connected: Connected | null;
  readonly conditions: readonly Conditions[];
  readonly elsewhere: readonly ElsewhereListener[] | null;
  readonly hops: readonly Hop[] | null;
  /** The next hop after silence: what was sent has made the kernel look for it. */
  readonly neighbourAfter: Neighbour | null;
  readonly firewall: Firewall | null;
  readonly gaps: readonly Gap[];
}

/** What one datagram got; the rest of UDP is in InetEvidence. */
export interface Datagram {
  readonly errno: string | null;
  readonly by: 'send' | 'later' | null;
  readonly refusals: readonly Refusal[];
  readonly counters: Counters;
  readonly reply: Reply | null;
  readonly sockets: readonly PortSocket[] | null;
}

export interface UdpEvidence extends InetEvidence {
  readonly protocol: 'udp';
  readonly datagram: Datagram | null;
}

/** A Unix socket that carries the path, with the file that it was bound to. */
export interface PathSocket extends UnixSocket {
  /** The file that bind made (UNIX_DIAG_VFS); null for an abstract name, or where it is not told. */
  readonly file: { readonly inode: number; readonly device: number } | null;
}

/** Everything that was seen of a Unix socket. */
export interface UnixEvidence {
  readonly protocol: 'unix';
  readonly path: string;
  readonly file: UnixFile | null;
  /** stat(2) of the path: errno, or what stands there. */
  readonly stat: {
    readonly errno: string | null;
    readonly inode: number | null;
    readonly device: number | null;
    /** Permission bits. */
    readonly mode: number | null;
    /** A symbolic link whose destination is missing. */
    readonly danglingLink: boolean;
    /** The first directory on the way that may not be entered, or that is none. */
    readonly stuckAt: string | null;
  };
  readonly sockets: readonly PathSocket[] | null;
  /** A process that sees a socket of the same name in another mount namespace: its listener has another file. */
  readonly otherRoot: { readonly pid: number; readonly path: string } | null;
  readonly attempt: {
    readonly errno: string | null;
    readonly elapsedMs: number;
    /** SO_PEERCRED of a connection that stood. */
    readonly peer: { readonly pid: number; readonly uid: number } | null;
  } | null;
  readonly first: Reply | null;
  readonly request: Reply | null;
  readonly conditions: readonly Conditions[];
  readonly gaps: readonly Gap[];
}

export type Evidence = InetEvidence | UdpEvidence | UnixEvidence;

/** Where the addresses of a name came from. */
export interface NameEvidence {
  readonly host: string;
  /** The addresses in the order of getaddrinfo(3); empty when there are none. */
  readonly addresses: readonly { readonly address: string; readonly from: 'hosts' | 'dns' | 'literal' }[];
  /** Of the look-up: `ENOTFOUND`, `EAI_AGAIN`, …; null when it worked. `ETIMEDOUT` for our own timeout. */
  readonly errno: string | null;
  readonly elapsedMs: number;
  /** Lines of the hosts file that name it, and the addresses they give. */
  readonly hosts: readonly { readonly line: number; readonly address: string }[] | null;
  /** What DNS itself answers; asked only where the hosts file names the host. */
  readonly dns: { readonly errno: string | null; readonly addresses: readonly string[] } | null;
  /** The name servers that resolv.conf(5) names, and whether one refuses or stays silent; only after a failure. */
  readonly servers:
    | readonly { readonly address: string; readonly says: 'answers' | 'refused' | 'silent' | null }[]
    | null;
  readonly searchDomains: readonly string[];
}
