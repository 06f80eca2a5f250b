/**
 * What the operating system says now. Types only.
 *
 * Three kinds of not-knowing are kept apart: `null` in a field means that the system does not show it (a hidden flag);
 * an entry in `gaps` means that we were not allowed or not able to look; an empty list means that we looked and there was nothing.
 */

export type Platform = 'linux' | 'darwin' | 'win32';

/** States as the kernel's headers spell them without the prefix (include/net/tcp_states.h); `BOUND` is a bound socket that does not listen. */
export type SocketState =
  | 'ESTABLISHED'
  | 'SYN_SENT'
  | 'SYN_RECV'
  | 'FIN_WAIT1'
  | 'FIN_WAIT2'
  | 'TIME_WAIT'
  | 'CLOSE_WAIT'
  | 'LAST_ACK'
  | 'LISTEN'
  | 'CLOSING'
  | 'BOUND';

/** One end of a connection, or where a socket is bound. */
export interface Address {
  readonly address: string;
  readonly port: number;
}

/**
 * Which socket it is, for as long as it exists: compared, and nothing else. On Linux the inode number; a system with other names counts them.
 * 0 when no process owns it: what is left of a connection, an orphan, or a connection that nobody accepted yet.
 */
export type SocketId = number;

/** What Linux tells of a socket beside the rest. */
export interface LinuxSocket {
  /** The kernel's own name of the socket (sock_diag cookie, 16 hex digits); null when it was read from /proc/net. */
  readonly cookie: string | null;
  /** What is left of a connection in TIME_WAIT, or in FIN_WAIT2 without an owner (inet_timewait_sock). */
  readonly mini: boolean;
  /** Inode number of the cgroup2 directory its maker was in, null when unknown. */
  readonly cgroupId: string | null;
  /** A subflow of a Multipath TCP connection. */
  readonly mptcp: boolean;
}

/** What macOS tells of a socket beside the rest (xsocket_n of bsd/sys/socketvar.h in xnu). */
export interface DarwinSocket {
  /**
   * The process that made the last system call on the socket (so_last_pid), 0 when the kernel names none. A hint, never a holder: it outlives
   * the process, and names one of several that have the socket open.
   */
  readonly lastPid: number;
  /** SO_REUSESHAREUID, which lets sockets of other users share the port; null before macOS 13, where it is hidden. */
  readonly sharesUsers: boolean | null;
  /** A connection or listener of Network.framework that lives in user space (Skywalk): no process has a descriptor of it. */
  readonly userSpace: boolean;
}

/** One TCP or UDP socket. UDP sockets are `BOUND`, or `ESTABLISHED` when connected. */
export interface InetSocket {
  readonly protocol: 'tcp' | 'udp';
  /** The socket's own family: an IPv6 socket that speaks to an IPv4 peer stays 6, with `::ffff:` addresses. */
  readonly family: 4 | 6;
  readonly state: SocketState;
  readonly local: Address;
  /** Null while nobody is connected. */
  readonly remote: Address | null;
  /** The user who made it. 0 for `mini` sockets, whose user the kernel no longer knows. */
  readonly uid: number;
  readonly inode: SocketId;
  /** SO_REUSEADDR, null when hidden. */
  readonly reuseAddress: boolean | null;
  /** SO_REUSEPORT, null when hidden. */
  readonly reusePort: boolean | null;
  /** IPV6_V6ONLY, null when hidden. Always false for family 4. */
  readonly v6Only: boolean | null;
  /** SO_BINDTODEVICE as an interface name, null for any. */
  readonly device: string | null;
  /** True when the kernel chose the port (bind(0) or connect), null when hidden. Children and mini sockets always show true: see sock_diag. */
  readonly autoPort: boolean | null;
  /** Milliseconds until a mini socket is gone by itself, null for all others. */
  readonly expiresInMs: number | null;
  /** Connections that wait to be accepted, and how many may, of a listener; null for all others. */
  readonly queue: { readonly waiting: number; readonly limit: number } | null;
  /**
   * Who began the connection: this side (`outgoing`) or the peer (`incoming`). Null without a connection, or when it cannot be told.
   * The kernel counts the SYN of the side that connects among its acknowledged bytes, so on an open connection
   * tcpi_bytes_acked > tcpi_bytes_sent - tcpi_bytes_retrans proves `outgoing`, and equality with nothing unacknowledged proves `incoming` (tcp_info, INET_DIAG_INFO).
   */
  readonly direction: 'outgoing' | 'incoming' | null;
  /** What only Linux tells. */
  readonly linux?: LinuxSocket;
  /** What only macOS tells. */
  readonly darwin?: DarwinSocket;
}

/** One Unix stream, datagram or seqpacket socket that carries the asked path. */
export interface UnixSocket {
  readonly protocol: 'unix';
  readonly type: 'stream' | 'datagram' | 'seqpacket';
  readonly state: 'LISTEN' | 'ESTABLISHED' | 'BOUND';
  readonly path: string;
  readonly inode: SocketId;
  readonly uid: number;
  readonly queue: { readonly waiting: number; readonly limit: number } | null;
  /** True when it was made in another network namespace than ours, such as that of a container. */
  readonly elsewhere: boolean;
}

export type Socket = InetSocket | UnixSocket;

/** What stands at a Unix endpoint's path. */
export interface UnixFile {
  readonly kind: 'none' | 'socket' | 'directory' | 'other';
  readonly inode: number | null;
  readonly uid: number | null;
  /**
   * Of a socket: whether a process has it open, in whatever network namespace; false proves that nobody listens. Null when it could not be
   * told, and for everything else.
   */
  readonly inUse: boolean | null;
  /** Of a directory: true when nothing is in it; null when it could not be read, and for everything else. */
  readonly empty: boolean | null;
  /** True when this user could make the socket file there: the directory exists and is writable. */
  readonly creatable: boolean;
  /** Why it is not creatable (`ENOENT`, `EACCES`, `ENOTDIR`, `EROFS`, `EPERM`, `EINVAL`), or null. */
  readonly errno: string | null;
  /** The type of the file system of its directory, such as `ext4`; null when it is not known. */
  readonly fileSystem: string | null;
  /** False where that file system holds no sockets, null where it may or may not. */
  readonly holdsSockets: boolean | null;
  /** The path as far as this Node passes it on, where it is longer than an address can be; else null. */
  readonly cutTo: string | null;
}

/** A process is an identity, not a number: pid and start time together. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it was started, as the system tells it: compared, and nothing else. On Linux clock ticks after boot (proc_pid_stat(5), field 22). */
  readonly started: string;
}

/** One process above a holder, the nearest first. */
export interface ParentProcess {
  readonly pid: number;
  readonly command: string;
  /** Left out where it was not read. Text that it chose itself. */
  readonly argv?: readonly string[];
}

/** The container that a process runs in. */
export interface Container {
  /** The full id. */
  readonly id: string;
  /** The name, null when the runtime did not tell it. */
  readonly name: string | null;
  readonly runtime: 'docker' | 'podman' | 'containerd' | 'crio' | 'lxc' | 'nspawn' | 'kubernetes' | 'unknown';
}

/** A process that has a socket open. Text that came from the process is raw: escape it before it reaches a terminal. */
export interface Holder extends ProcessIdentity {
  /** Descriptor numbers in that process, ascending. */
  readonly descriptors: readonly number[];
  /**
   * Of a listener: true when this process waits for its connections (one of its epoll instances watches the socket, /proc/PID/fdinfo `tfd … ino`,
   * or a thread sleeps in accept, /proc/PID/task/TID/wchan `inet_csk_accept`); false when it was seen that it does not (every thread sleeps, in something else than
   * poll, select, io_uring or accept); null when it could not be told, or the socket does not listen.
   */
  readonly accepts: boolean | null;
  /** The kernel's name of the process (comm), at most 15 bytes; the program's name where Node 24 and later say `MainThread`. */
  readonly command: string;
  /** Empty when it was not readable. Cut after 64 kB. */
  readonly argv: readonly string[];
  readonly cwd: string | null;
  readonly uid: number;
  readonly user: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  /** Single letter of proc_pid_stat(5): R, S, D, Z, T … */
  readonly processState: string;
  /** Nearest first, up to pid 1. */
  readonly parents: readonly ParentProcess[];
  /** The systemd unit that its cgroup is named after, such as `shop.service`: of this system, never one of a container's own systemd. */
  readonly unit: string | null;
  /** True when the unit belongs to the user's own manager (`systemctl --user`). */
  readonly userUnit: boolean;
  /** The cgroup that `unit` was read from, as this process sees it; null without a unit. */
  readonly cgroup: string | null;
  /** Null also for the container that rebind itself runs in: there its processes are ordinary ones. */
  readonly container: Container | null;
  /** The debugger or tracer that is attached to it (TracerPid of proc_pid_status(5)), or null. */
  readonly tracer: number | null;
}

/** Where a process stands that has a socket open. */
export interface Standing {
  /** Its session (setsid(2)). */
  readonly session: number;
  /** True when its session has a terminal (proc_pid_stat(5), tty_nr). */
  readonly terminal: boolean;
  /** True when it runs in another network namespace than ours. */
  readonly elsewhere: boolean;
  /** The other ports it listens on, without those that the kernel chose. */
  readonly alsoListens: readonly Address[];
}

/** What the system would not show. `what` and `hint` are sentences without a full stop. */
export interface Gap {
  readonly what: string;
  /** An errno name, or a short reason where there was none. */
  readonly why: string;
  readonly hint: string;
}

/** The settings that decide about a bind (ip(7), capabilities(7), ip-sysctl.rst). */
export interface Settings {
  /** First and last automatic port (net.ipv4.ip_local_port_range). */
  readonly automaticPorts: readonly [number, number] | null;
  /** Ports never chosen automatically (net.ipv4.ip_local_reserved_ports). */
  readonly reservedPorts: readonly (readonly [number, number])[];
  /** Ports below need a privilege (net.ipv4.ip_unprivileged_port_start). */
  readonly firstUnprivilegedPort: number | null;
  /** True when this process may bind ports below (CAP_NET_BIND_SERVICE). */
  readonly mayBindPrivileged: boolean | null;
  /** True when this process may destroy sockets and change what needs CAP_NET_ADMIN. */
  readonly mayAdministerNetwork: boolean | null;
  /** True when IPv6 sockets can be made and `::` can be bound. */
  readonly ipv6: boolean;
  /** True when addresses that are not here may be bound (net.ipv4.ip_nonlocal_bind; the IPv6 twin for IPv6). */
  readonly nonlocalBind: { readonly v4: boolean; readonly v6: boolean };
  /**
   * Every address of this machine, with its interface. `tentative`: an IPv6 address that duplicate address detection has
   * not approved yet, which the kernel refuses to bind; `duplicate`: it never will, because another machine has the address.
   */
  readonly localAddresses: readonly {
    readonly address: string;
    readonly device: string;
    readonly tentative?: boolean;
    readonly duplicate?: boolean;
  }[];
}

/** Who asks. */
export interface Asker {
  readonly pid: number;
  readonly uid: number;
  readonly user: string;
  readonly cwd: string;
  /** Its own parents up to pid 1. None of them is ever signalled. */
  readonly ancestors: readonly number[];
  /** Who called sudo(8), whose managers are asked as that user; null without it. */
  readonly sudoUid: number | null;
  /** The systemd unit that it runs in itself, or null. */
  readonly unit: string | null;
}

/** The kernel's own answer to a throw-away bind with the request's exact options. Null `errno` means that the bind succeeded. */
export interface Probe {
  readonly errno: string | null;
  /** The port that the kernel chose when port 0 was asked for, else the asked one. */
  readonly port: number | null;
}

/** A rule of a firewall that sends what comes for the port elsewhere, before a server here gets it. */
export interface Redirect {
  /** Whose connections: those of other machines, or those of this one. */
  readonly from: 'outside' | 'here';
  /** Where they go, such as `172.17.0.2:80`; null where the rule does not say. */
  readonly to: string | null;
  /** The rule as its tool writes it, and where it stands. Text that others chose. */
  readonly rule: string;
  readonly system: 'nftables' | 'iptables-legacy';
  readonly table: string;
  readonly chain: string;
  /** A process that listens there, where one can be seen. */
  readonly process: Pick<Holder, 'pid' | 'started' | 'command' | 'container' | 'unit'> | null;
}

/** Not seen is not the same as not there. */
export interface Unseen {
  /** True when sockets of the asked port may exist that are not listed. */
  readonly sockets: boolean;
  /** True when processes of this process namespace could not be looked into, or came and went too fast. */
  readonly processes: boolean;
}

/** Everything that was read for one request, at one moment. */
export interface Facts {
  readonly platform: Platform;
  /** Such as `6.18.44`. */
  readonly kernel: string;
  /** Milliseconds since 1970, when the reading began. */
  readonly readAtMs: number;
  /** Sockets whose local port is the asked one, of both protocols; for a Unix endpoint those that carry the path. */
  readonly sockets: readonly Socket[];
  /** Who has a socket open, by inode number. An inode without an entry was not found in any process that we may look into. */
  readonly holders: ReadonlyMap<SocketId, readonly Holder[]>;
  /** What may exist beside what is listed here; `gaps` says why. */
  readonly unseen: Unseen;
  /** Where the holders stand, and the asker, by pid; of many holders the first. */
  readonly standings: ReadonlyMap<number, Standing>;
  readonly unixFile: UnixFile | null;
  /** The names of those who made these sockets and this file, by uid; the number as text where it has no name. */
  readonly users: ReadonlyMap<number, string>;
  readonly settings: Settings;
  readonly asker: Asker;
  readonly gaps: readonly Gap[];
}

/** How far to look for the processes that have a socket open. */
export type HolderSearch =
  /** Do not look. */
  | 'none'
  /** First where they are likely (cgroup, user, relatives); everywhere only when that finds nobody. */
  | 'likely'
  /** Every process that we may look into. */
  | 'all';
