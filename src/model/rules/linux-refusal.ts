import { parseIpv6 } from '../address.ts';
import type { Settings } from '../facts.ts';

import { type Binder, needsZone } from './rules.ts';
import { canonical, spanOf } from './span.ts';

/** An errno, and whether it is certain. */
export interface Refusal {
  readonly errno: string;
  readonly sure: boolean;
}

/**
 * Every refusal that applies in the order of the checks, up to and including the first certain one. Empty when the port is looked at.
 *
 * @param option The device that is set before the bind; a zone may replace it then.
 */
export function refusals(
  binder: Binder,
  port: number,
  settings: Settings,
  option: string | null = binder.device,
): readonly Refusal[] {
  // A zone that names no interface is none to Node.
  const named = binder.device !== option && isUnknown(binder.device, settings) ? { ...binder, device: option } : binder;
  const checks =
    binder.family === 4
      ? [unknownDevice(option, settings), notLocalV4(binder.address, settings), privileged(port, settings)]
      : [
          noIpv6(settings),
          unknownDevice(option, settings),
          multicastStream(binder),
          privileged(port, settings),
          ...(named === binder ? [] : [noZone(named)]),
          notUsableV6(named, settings, named === binder),
        ];
  const found: Refusal[] = [];
  for (const refusal of checks) {
    if (refusal === null) continue;
    found.push(refusal);
    if (refusal.sure) break;
  }
  return found;
}

function privileged(port: number, settings: Settings): Refusal | null {
  const first = settings.firstUnprivilegedPort;
  // 1024 is the kernel's default where the setting could not be read.
  if (port === 0 || port >= (first ?? 1024) || settings.mayBindPrivileged === true) return null;
  return { errno: 'EACCES', sure: first !== null && settings.mayBindPrivileged === false };
}

/** Never certain: a local route (`ip route add local …`) makes addresses bindable that no interface lists. */
function notLocalV4(address: string, settings: Settings): Refusal | null {
  if (address === '0.0.0.0' || settings.nonlocalBind.v4) return null;
  const [first = 0] = address.split('.').map(Number);
  // Multicast and broadcast addresses may be bound.
  if ((first >= 224 && first <= 239) || address === '255.255.255.255') return null;
  const loopbackIsUp = first === 127 && settings.localAddresses.some((local) => local.address.startsWith('127.'));
  if (loopbackIsUp || settings.localAddresses.some((local) => local.address === address)) return null;
  return { errno: 'EADDRNOTAVAIL', sure: false };
}

function notUsableV6(binder: Binder, settings: Settings, isOwn = true): Refusal | null {
  const address = canonical(binder.address);
  const { v4, v6 } = spanOf({ family: 6, address, v6Only: false });
  if (v6 === '*') return null;
  if (v6 === null) {
    if (binder.v6Only) return { errno: 'EINVAL', sure: true };
    return v4 === null || v4 === '*' ? null : notLocalV4(v4, settings);
  }
  const scope = scopeOf(address);
  if (isOwn && needsZone(parseIpv6(address)) && binder.device === null) return { errno: 'EINVAL', sure: true };
  if (scope === 'multicast' || settings.nonlocalBind.v6) return null;
  const here = settings.localAddresses.filter((local) => canonical(local.address) === address);
  if (here.length === 0) return { errno: 'EADDRNOTAVAIL', sure: false };
  // Not certain: it may be approved by now.
  if (here.every((local) => local.tentative === true)) return { errno: 'EADDRNOTAVAIL', sure: false };
  // Only loopback and link-local addresses belong to one device (ipv6_chk_addr, not strict).
  const elsewhere = binder.device !== null && here.every((local) => local.device !== binder.device);
  return elsewhere && scope !== 'global' ? { errno: 'EADDRNOTAVAIL', sure: true } : null;
}

function multicastStream(binder: Binder): Refusal | null {
  const applies = binder.protocol === 'tcp' && scopeOf(canonical(binder.address)) === 'multicast';
  return applies ? { errno: 'EINVAL', sure: true } : null;
}

function noIpv6(settings: Settings): Refusal | null {
  return settings.ipv6 ? null : { errno: 'EAFNOSUPPORT', sure: false };
}

/** SO_BINDTODEVICE itself fails. Not certain: see isUnknown. */
function unknownDevice(device: string | null, settings: Settings): Refusal | null {
  return isUnknown(device, settings) ? { errno: 'ENODEV', sure: false } : null;
}

/** Most likely: an interface without an address is not in the list. */
function isUnknown(device: string | null, { localAddresses }: Settings): boolean {
  return device !== null && localAddresses.length > 0 && localAddresses.every((local) => local.device !== device);
}

/** Without any device, a link-local address is refused. Not certain: the zone may be an interface without an address. */
function noZone({ address, device }: Binder): Refusal | null {
  return device === null && needsZone(parseIpv6(address)) ? { errno: 'EINVAL', sure: false } : null;
}

/** RFC 4291: ::1 is the host's, fe80::/10 the link's, ff00::/8 multicast. */
function scopeOf(address: string): 'host' | 'link' | 'multicast' | 'global' {
  const [first = 0] = parseIpv6(address) ?? [];
  if (address === '::1') return 'host';
  if ((first & 0xffc0) === 0xfe80) return 'link';
  return (first & 0xff00) === 0xff00 ? 'multicast' : 'global';
}
