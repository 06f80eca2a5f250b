/**
 * The numbers that macOS has for the options that rebind knows by name (sys/socket.h, netinet/in.h, netinet6/in6.h, netinet/tcp.h of xnu). What is
 * not here has no equal there.
 */
import { UnsupportedError } from '../errors.ts';
import { type Codec, flag, linger, number, quantity, timeval } from '../option-codec.ts';
import type { OptionName } from '../options.ts';
import { IPPROTO_IP, IPPROTO_IPV6, IPPROTO_TCP, SOL_SOCKET } from './numbers.ts';

interface Row {
  readonly level: number;
  readonly number: number;
  readonly codec: Codec<unknown>;
}

const most = 0x7fffffff;

const row = (level: number, option: number, codec: Codec<unknown>): Row => ({ level, number: option, codec });

/** The value of each looks as on Linux. */
export const darwinTable: Readonly<Partial<Record<OptionName, Row>>> = {
  SO_REUSEADDR: row(SOL_SOCKET, 0x4, flag),
  SO_KEEPALIVE: row(SOL_SOCKET, 0x8, flag),
  SO_DONTROUTE: row(SOL_SOCKET, 0x10, flag),
  SO_BROADCAST: row(SOL_SOCKET, 0x20, flag),
  // SO_LINGER counts in ticks there.
  SO_LINGER: row(SOL_SOCKET, 0x1080, linger),
  SO_OOBINLINE: row(SOL_SOCKET, 0x100, flag),
  SO_REUSEPORT: row(SOL_SOCKET, 0x200, flag),
  SO_SNDBUF: row(SOL_SOCKET, 0x1001, quantity('bytes', 0, most)),
  SO_RCVBUF: row(SOL_SOCKET, 0x1002, quantity('bytes', 0, most)),
  SO_RCVLOWAT: row(SOL_SOCKET, 0x1004, quantity('bytes', 1, most)),
  SO_SNDTIMEO: row(SOL_SOCKET, 0x1005, timeval),
  SO_RCVTIMEO: row(SOL_SOCKET, 0x1006, timeval),
  SO_ERROR: row(SOL_SOCKET, 0x1007, number(0, most)),
  SO_TYPE: row(SOL_SOCKET, 0x1008, number(0, most)),
  IP_TOS: row(IPPROTO_IP, 3, number(0, 255)),
  IP_TTL: row(IPPROTO_IP, 4, number(1, 255)),
  IP_MULTICAST_TTL: row(IPPROTO_IP, 10, number(0, 255)),
  IP_MULTICAST_LOOP: row(IPPROTO_IP, 11, flag),
  IPV6_UNICAST_HOPS: row(IPPROTO_IPV6, 4, number(-1, 255)),
  IPV6_MULTICAST_HOPS: row(IPPROTO_IPV6, 10, number(-1, 255)),
  IPV6_MULTICAST_LOOP: row(IPPROTO_IPV6, 11, flag),
  IPV6_V6ONLY: row(IPPROTO_IPV6, 27, flag),
  IPV6_TCLASS: row(IPPROTO_IPV6, 36, number(-1, 255)),
  TCP_NODELAY: row(IPPROTO_TCP, 1, flag),
  TCP_MAXSEG: row(IPPROTO_TCP, 2, quantity('bytes', 0, 65_535)),
  // TCP_NOPUSH
  TCP_CORK: row(IPPROTO_TCP, 4, flag),
  // TCP_KEEPALIVE
  TCP_KEEPIDLE: row(IPPROTO_TCP, 0x10, quantity('seconds', 1, 32_767)),
  TCP_KEEPINTVL: row(IPPROTO_TCP, 0x101, quantity('seconds', 1, 32_767)),
  TCP_KEEPCNT: row(IPPROTO_TCP, 0x102, number(1, 127)),
  TCP_FASTOPEN: row(IPPROTO_TCP, 0x105, number(0, most)),
  TCP_NOTSENT_LOWAT: row(IPPROTO_TCP, 0x201, quantity('bytes', 0, 0xffffffff)),
};

/** @throws {UnsupportedError} for an option of another system. */
export function darwinOptions(option: OptionName): Row {
  const found = darwinTable[option];
  if (found === undefined) throw new UnsupportedError(`${option} is no option of sockets on macOS`);
  return found;
}
