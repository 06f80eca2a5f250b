/**
 * Every socket option that `getOption` and `setOption` know: its number, its value, its unit. Linux numbers, from
 * include/uapi/asm-generic/socket.h, linux/in.h, linux/in6.h, linux/tcp.h and linux/udp.h.
 */
import {
  type Codec,
  cookie,
  credentials,
  flag,
  linger,
  name,
  number,
  portRange,
  quantity,
  rate,
  timeval,
  type ValueOf,
} from '../option-codec.ts';
import { tcpInfo } from './tcp-info.ts';

/** One option. */
export interface OptionRow<Value> {
  readonly level: number;
  readonly number: number;
  readonly codec: Codec<Value>;
  /** `read` options are answered by the kernel and cannot be set. */
  readonly access: 'read' | 'write' | 'both';
}

const SOL_SOCKET = 1;
const IPPROTO_IP = 0;
const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IPPROTO_IPV6 = 41;

const most = 0x7fffffff;

function row<Value>(level: number, number: number, codec: Codec<Value>): OptionRow<Value> {
  return { level, number, codec, access: 'both' };
}
function read<Value>(level: number, number: number, codec: Codec<Value>): OptionRow<Value> {
  return { level, number, codec, access: 'read' };
}
function write<Value>(level: number, number: number, codec: Codec<Value>): OptionRow<Value> {
  return { level, number, codec, access: 'write' };
}

export const optionsTable = {
  // socket(7)
  SO_REUSEADDR: row(SOL_SOCKET, 2, flag),
  SO_TYPE: read(SOL_SOCKET, 3, number(0, most)),
  SO_ERROR: read(SOL_SOCKET, 4, number(0, most)),
  SO_DONTROUTE: row(SOL_SOCKET, 5, flag),
  SO_BROADCAST: row(SOL_SOCKET, 6, flag),
  /** The kernel doubles what is set, for its own book-keeping, and caps it at net.core.wmem_max. */
  SO_SNDBUF: row(SOL_SOCKET, 7, quantity('bytes', 0, most)),
  /** As SO_SNDBUF, with net.core.rmem_max. */
  SO_RCVBUF: row(SOL_SOCKET, 8, quantity('bytes', 0, most)),
  SO_KEEPALIVE: row(SOL_SOCKET, 9, flag),
  SO_OOBINLINE: row(SOL_SOCKET, 10, flag),
  /** Above 6 it needs CAP_NET_ADMIN. */
  SO_PRIORITY: row(SOL_SOCKET, 12, number(0, most)),
  SO_LINGER: row(SOL_SOCKET, 13, linger),
  SO_REUSEPORT: row(SOL_SOCKET, 15, flag),
  SO_PASSCRED: row(SOL_SOCKET, 16, flag),
  SO_PEERCRED: read(SOL_SOCKET, 17, credentials),
  SO_RCVLOWAT: row(SOL_SOCKET, 18, quantity('bytes', 1, most)),
  SO_RCVTIMEO: row(SOL_SOCKET, 20, timeval),
  SO_SNDTIMEO: row(SOL_SOCKET, 21, timeval),
  /** An interface, or null for any. */
  SO_BINDTODEVICE: row(SOL_SOCKET, 25, name(16, 'the name of an interface of at most 15 bytes, or null')),
  SO_ACCEPTCONN: read(SOL_SOCKET, 30, flag),
  /** Needs CAP_NET_ADMIN. */
  SO_SNDBUFFORCE: write(SOL_SOCKET, 32, quantity('bytes', 0, most)),
  /** Needs CAP_NET_ADMIN. */
  SO_RCVBUFFORCE: write(SOL_SOCKET, 33, quantity('bytes', 0, most)),
  /** Needs CAP_NET_ADMIN. */
  SO_MARK: row(SOL_SOCKET, 36, number(0, 0xffffffff)),
  SO_PROTOCOL: read(SOL_SOCKET, 38, number(0, most)),
  SO_DOMAIN: read(SOL_SOCKET, 39, number(0, most)),
  SO_BUSY_POLL: row(SOL_SOCKET, 46, quantity('us', 0, most)),
  SO_MAX_PACING_RATE: row(SOL_SOCKET, 47, rate),
  SO_INCOMING_CPU: row(SOL_SOCKET, 49, number(-1, most)),
  SO_COOKIE: read(SOL_SOCKET, 57, cookie),
  // ip(7)
  IP_TOS: row(IPPROTO_IP, 1, number(0, 255)),
  IP_TTL: row(IPPROTO_IP, 2, number(1, 255)),
  IP_MTU_DISCOVER: row(IPPROTO_IP, 10, number(0, 5)),
  IP_MTU: read(IPPROTO_IP, 14, quantity('bytes', 0, most)),
  /** Binds an address that is not here yet. */
  IP_FREEBIND: row(IPPROTO_IP, 15, flag),
  /** Needs CAP_NET_ADMIN or CAP_NET_RAW. */
  IP_TRANSPARENT: row(IPPROTO_IP, 19, flag),
  IP_MINTTL: row(IPPROTO_IP, 21, number(0, 255)),
  IP_BIND_ADDRESS_NO_PORT: row(IPPROTO_IP, 24, flag),
  IP_MULTICAST_TTL: row(IPPROTO_IP, 33, number(0, 255)),
  IP_MULTICAST_LOOP: row(IPPROTO_IP, 34, flag),
  /** Linux 6.3. */
  IP_LOCAL_PORT_RANGE: row(IPPROTO_IP, 51, portRange),
  // ipv6(7)
  IPV6_UNICAST_HOPS: row(IPPROTO_IPV6, 16, number(-1, 255)),
  IPV6_MULTICAST_HOPS: row(IPPROTO_IPV6, 18, number(-1, 255)),
  IPV6_MULTICAST_LOOP: row(IPPROTO_IPV6, 19, flag),
  IPV6_MTU: row(IPPROTO_IPV6, 24, quantity('bytes', 0, most)),
  /** Only before bind. */
  IPV6_V6ONLY: row(IPPROTO_IPV6, 26, flag),
  IPV6_TCLASS: row(IPPROTO_IPV6, 67, number(-1, 255)),
  IPV6_TRANSPARENT: row(IPPROTO_IPV6, 75, flag),
  IPV6_FREEBIND: row(IPPROTO_IPV6, 78, flag),
  // tcp(7)
  TCP_NODELAY: row(IPPROTO_TCP, 1, flag),
  TCP_MAXSEG: row(IPPROTO_TCP, 2, quantity('bytes', 0, 65_535)),
  TCP_CORK: row(IPPROTO_TCP, 3, flag),
  TCP_KEEPIDLE: row(IPPROTO_TCP, 4, quantity('seconds', 1, 32_767)),
  TCP_KEEPINTVL: row(IPPROTO_TCP, 5, quantity('seconds', 1, 32_767)),
  TCP_KEEPCNT: row(IPPROTO_TCP, 6, number(1, 127)),
  TCP_SYNCNT: row(IPPROTO_TCP, 7, number(1, 127)),
  TCP_LINGER2: row(IPPROTO_TCP, 8, quantity('seconds', -1, most)),
  /** The kernel rounds it up to a number of retransmissions. */
  TCP_DEFER_ACCEPT: row(IPPROTO_TCP, 9, quantity('seconds', 0, most)),
  TCP_WINDOW_CLAMP: row(IPPROTO_TCP, 10, quantity('bytes', 0, most)),
  TCP_INFO: read(IPPROTO_TCP, 11, tcpInfo),
  TCP_QUICKACK: row(IPPROTO_TCP, 12, flag),
  TCP_CONGESTION: row(IPPROTO_TCP, 13, name(16, 'the name of a congestion control, such as cubic')),
  TCP_USER_TIMEOUT: row(IPPROTO_TCP, 18, quantity('ms', 0, most)),
  /** How many fast-open connections may wait in the queue of a listener. */
  TCP_FASTOPEN: row(IPPROTO_TCP, 23, number(0, most)),
  TCP_NOTSENT_LOWAT: row(IPPROTO_TCP, 25, quantity('bytes', 0, 0xffffffff)),
  TCP_FASTOPEN_CONNECT: row(IPPROTO_TCP, 30, flag),
  // udp(7)
  UDP_CORK: row(IPPROTO_UDP, 1, flag),
  UDP_SEGMENT: row(IPPROTO_UDP, 103, quantity('bytes', 0, 65_535)),
  UDP_GRO: row(IPPROTO_UDP, 104, flag),
} as const satisfies Record<string, OptionRow<unknown>>;

type Table = typeof optionsTable;

/** The value of an option: a boolean, a number, a text, or an object that names the unit, such as `{ ms: 5000 }`. */
export type OptionValue<Name extends keyof Table> = ValueOf<Table[Name]['codec']>;
