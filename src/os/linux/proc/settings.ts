/**
 * The settings that decide about a bind: ip-sysctl.rst, capabilities(7), and the addresses of this machine.
 */
import type { Settings } from '../../../model/facts.ts';
import { NativeError } from '../../errors.ts';
import { hasIpv6, isShortage } from '../../node-bind.ts';
import { hasLibc, libc } from '../calls/libc.ts';
import { AF_INET6 } from '../calls/sockaddr.ts';
import { readAddresses } from '../netlink/addresses.ts';
import { attempt, type Proc } from './proc.ts';

// include/uapi/linux/capability.h
const CAP_NET_BIND_SERVICE = 10n;
const CAP_NET_ADMIN = 12n;

/** _IO(NSIO, 1): the user namespace that owns a namespace (ioctl_ns(2)). */
const NS_GET_USERNS = 0xb701;
const EPERM = 1;

// include/linux/net.h, asm-generic/fcntl.h
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;

/** Reads all of them; what cannot be read is null or empty. */
export function readSettingsOf(proc: Proc): Settings {
  const sysctl = (name: string): string | null => attempt(() => proc.text(`sys/net/${name}`, 1_048_576).trim());
  const capabilities = effectiveCapabilities(proc);
  const has = (capability: bigint): boolean | null =>
    capabilities === null ? null : (capabilities & (1n << capability)) === 0n ? false : capabilitiesCount(proc);
  return {
    automaticPorts: parseRange(sysctl('ipv4/ip_local_port_range')),
    reservedPorts: parseRanges(sysctl('ipv4/ip_local_reserved_ports') ?? ''),
    firstUnprivilegedPort: parseNumber(sysctl('ipv4/ip_unprivileged_port_start')),
    mayBindPrivileged: has(CAP_NET_BIND_SERVICE),
    mayAdministerNetwork: has(CAP_NET_ADMIN),
    ipv6: hasIpv6Sockets(proc),
    nonlocalBind: { v4: sysctl('ipv4/ip_nonlocal_bind') === '1', v6: sysctl('ipv6/ip_nonlocal_bind') === '1' },
    localAddresses: readAddresses(proc),
  };
}

/**
 * Whether IPv6 sockets can be made: Node asks just so before it falls back to 0.0.0.0. A sandbox may refuse them where the kernel has them.
 * Where no socket can be made for want of descriptors the file tells, which a kernel started with ipv6.disable=1 does not have.
 */
export function hasIpv6Sockets(proc: Proc): boolean {
  const asked = proc.root !== '/proc' ? null : hasLibc() ? hasFamily(AF_INET6) : hasIpv6();
  return asked ?? attempt(() => proc.read('net/if_inet6', 1)) !== null;
}

function hasFamily(family: number): boolean | null {
  const fd = libc().socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return isShortage(new NativeError('socket', libc().errno()).code) ? null : false;
  libc().close(fd);
  return true;
}

/** `32768\t60999` */
export function parseRange(text: string | null): [number, number] | null {
  const found = text === null ? null : /^(\d{1,5})\s+(\d{1,5})$/.exec(text);
  return found === null ? null : portsOf(found[1], found[2]);
}

/** `8080,9148,10000-10100`; parts that are no ports are left out. */
export function parseRanges(text: string): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  if (text === '') return ranges;
  for (const part of text.split(',')) {
    const found = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim());
    const range = found === null ? null : portsOf(found[1], found[2] ?? found[1]);
    if (range !== null) ranges.push(range);
  }
  return ranges;
}

function portsOf(...ends: readonly [string | undefined, string | undefined]): [number, number] | null {
  const [first, last] = [Number(ends[0]), Number(ends[1])];
  return first <= 65_535 && last <= 65_535 ? [first, last] : null;
}

function parseNumber(text: string | null): number | null {
  return text !== null && /^\d+$/.test(text) ? Number(text) : null;
}

function effectiveCapabilities(proc: Proc): bigint | null {
  const mask = /^CapEff:\s*([0-9a-f]{1,16})$/m.exec(attempt(() => proc.text('self/status')) ?? '')?.[1];
  return mask === undefined ? null : BigInt(`0x${mask}`);
}

/**
 * A capability counts for a network only when its owner is our user namespace, or one below it (user_namespaces(7)).
 * The kernel names the owner to exactly those, so asking for it is the test. Null when it could not be asked.
 */
function capabilitiesCount(proc: Proc): boolean | null {
  if (!hasLibc()) return null;
  const c = libc();
  const network = c.open(`${proc.root}/self/ns/net`, 0);
  if (network < 0) return null;
  try {
    const owner = c.ioctl(network, NS_GET_USERNS, 0);
    if (owner < 0) return c.errno() === EPERM ? false : null;
    c.close(owner);
    return true;
  } finally {
    c.close(network);
  }
}
