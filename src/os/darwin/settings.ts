/**
 * The settings that decide about a bind: which ports are chosen automatically, who may have the low ones, and the addresses of this Mac.
 */
import type { Settings } from '../../model/facts.ts';
import { sysctlNumber } from './asking.ts';
import type { LibSystem } from './lib-system.ts';

/** What netinet/in.h has, where it cannot be read. */
const [firstAutomatic, lastAutomatic] = [49_152, 65_535];

/** @param lib Null where libSystem cannot be called. @param portable What Node alone tells. */
export function readSettings(lib: LibSystem | null, uid: number, portable: Settings): Settings {
  const first = lib === null ? null : sysctlNumber(lib, 'net.inet.ip.portrange.first');
  const last = lib === null ? null : sysctlNumber(lib, 'net.inet.ip.portrange.last');
  const isRoot = uid === 0;
  return {
    ...portable,
    automaticPorts: [portOr(first, firstAutomatic), portOr(last, lastAutomatic)],
    // For one definite address; the rules know from which release on.
    firstUnprivilegedPort: 1_024,
    mayBindPrivileged: isRoot,
    mayAdministerNetwork: isRoot,
  };
}

function portOr(value: number | null, usual: number): number {
  return value !== null && value > 0 && value <= 65_535 ? value : usual;
}

/**
 * How long a connection stays in TIME_WAIT still, by its timer: TCP's own clock counts milliseconds that the machine was awake, modulo 2^32
 * (tcp_now and add_to_time_wait of bsd/netinet). Null where the clocks do not fit together.
 */
export function timeLeftBy(lib: LibSystem): (timer: number) => number | null {
  const nowInit = sysctlNumber(lib, 'net.inet.tcp.now_init');
  const uptimeInit = sysctlNumber(lib, 'net.inet.tcp.microuptime_init');
  const longest = 2 * (sysctlNumber(lib, 'net.inet.tcp.msl') ?? 15_000);
  if (nowInit === null || uptimeInit === null) return () => null;
  const awakeMs = (lib.uptimeNs() / 1_000n - BigInt(uptimeInit >>> 0)) / 1_000n;
  const now = Number((BigInt(nowInit >>> 0) + awakeMs) & 0xffffffffn);
  return (timer) => {
    const left = (timer - now) | 0;
    // It is looked after twice a second.
    if (left < -1_000 || left > longest) return null;
    return Math.max(0, left);
  };
}
